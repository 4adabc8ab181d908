"""Network rules: from which networks the people of a tenant, and an account, may sign in and send requests."""
