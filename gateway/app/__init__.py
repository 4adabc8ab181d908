"""The composition root: makes every object once, and runs a worker."""
