"""Sign-up."""
