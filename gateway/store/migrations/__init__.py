"""The schema's migrations, one file a step. A released step is never edited."""
