"""Times that are written only when it is known who reads them: in the values of a mail."""

from __future__ import annotations


class Moment(int):
    """UTC seconds, shown with date and time."""


class Day(int):
    """UTC seconds, shown as a date."""
