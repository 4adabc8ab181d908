"""Access rules, and the decision about each request."""
