"""Connections to the upstream: header rules, connection pool, relay, tunnel."""
