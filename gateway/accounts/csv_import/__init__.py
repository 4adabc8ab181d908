"""Import of people from a CSV file."""
