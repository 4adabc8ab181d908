"""Sessions: their rows, the lookup of every request, and sign-ins in progress."""
