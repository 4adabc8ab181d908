"""The connection to the upstream: header rules, pool, relay, tunnel."""
