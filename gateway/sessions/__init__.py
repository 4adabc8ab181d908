"""Sessions: rows, the lookup of every request, and sign-in attempts."""
