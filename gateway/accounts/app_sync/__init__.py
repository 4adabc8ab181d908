"""Importing the users of the application from its database."""
