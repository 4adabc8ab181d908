"""The attempt to sign in: what is proved, what is next, and its pages."""
