"""The composition root: makes every object and gives each what it uses."""
