"""The access review: each account's rights and last use, and the disabling of unused accounts."""
