"""Browsers: the last account signed in to each, and the cookies that the application sets there."""
