"""Sign-in links by email."""
