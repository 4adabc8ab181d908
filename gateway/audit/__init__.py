"""The audit log: what happened to accounts, written for people to read."""
