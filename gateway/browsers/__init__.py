"""Browsers: who signed in last in each, and what the application keeps there."""
