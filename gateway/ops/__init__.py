"""Attacks on sign-ins: seeing what is under way, and stopping it."""
