"""Client connections: parsing, limits, deadlines, client address."""
