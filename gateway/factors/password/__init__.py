"""The password factor."""
