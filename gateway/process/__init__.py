"""Processes: supervisor, workers, their sockets, and the checks before anything serves."""
