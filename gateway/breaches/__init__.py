"""Breached passwords: lists in files, and the range API."""
