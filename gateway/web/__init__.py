"""The framework of our own pages: routes, guards, form data, rendering, redirects."""
