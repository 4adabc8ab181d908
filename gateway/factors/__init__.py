"""One file a factor: how it challenges and how it verifies."""
