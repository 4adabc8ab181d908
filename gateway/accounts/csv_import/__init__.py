"""Importing people from a CSV file."""
