"""Observability: the metrics of all workers, logs, and the listener that serves them to operators."""
