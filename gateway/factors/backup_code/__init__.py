"""Codes on paper, for the day the phone is lost."""
