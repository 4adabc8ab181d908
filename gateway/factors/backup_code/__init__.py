"""Backup codes."""
