"""Signed-in devices: the list, and new-device mails."""
