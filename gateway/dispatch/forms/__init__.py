"""Forms that came too late: kept for a few minutes, so that nobody has to type them again."""
