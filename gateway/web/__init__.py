"""The framework of our own pages: routes, application, visit, form data, rendering, ways back."""
