"""Pure records that every other package may import."""
