"""Setting passwords, and the policy that every new one must meet."""
