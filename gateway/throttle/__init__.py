"""Fair use of what is scarce: who may have how much of it at once, and in which order."""
