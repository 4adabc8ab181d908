"""The connection from the client: parse, refuse, time out."""
