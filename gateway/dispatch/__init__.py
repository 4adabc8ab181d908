"""What becomes of a request: pages, the upstream, forward-auth, and forms that came too late."""
