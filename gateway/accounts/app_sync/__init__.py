"""Import of the application's users from its database."""
