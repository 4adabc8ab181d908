"""What a password must be: one policy, used wherever one is set."""
