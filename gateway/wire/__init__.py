"""HTTP/1 on the wire: framing, deadlines, names and targets, and the table of failures that both sides share."""
