"""Time-based one-time codes from an authenticator app."""
