"""Mails: compose, outbox, SMTP."""
