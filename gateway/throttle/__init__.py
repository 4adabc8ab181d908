"""Rate limits, lockouts, and fair sharing of limited resources among clients."""
