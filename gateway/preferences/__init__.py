"""The language and time zone that people choose, and the language of a tenant."""
