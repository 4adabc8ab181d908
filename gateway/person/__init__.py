"""The page of one person for administrators: whether they can get in and why not, their devices, tokens and changes."""
