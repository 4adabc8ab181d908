"""Tests of languages and time zones."""
