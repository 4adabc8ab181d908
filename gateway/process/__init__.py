"""Supervisor and workers, their sockets, and the start-up checks."""
