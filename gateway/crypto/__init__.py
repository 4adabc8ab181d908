"""Keys, sealing and password hashes."""
