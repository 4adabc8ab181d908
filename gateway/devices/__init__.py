"""Signed-in devices."""
