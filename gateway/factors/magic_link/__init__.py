"""A link that is mailed."""
