"""Saved forms: kept for ten minutes, when a form's session has expired."""
