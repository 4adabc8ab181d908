"""What the provider's app roles and groups give people here: the mapping, its rows and page, and how it is followed."""
