"""The access review: which account may do what, when its owner was last seen, and the end of unused accounts."""
