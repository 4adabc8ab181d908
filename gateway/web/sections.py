"""Sections of the navigation, and the entry that a route declares in one of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from gateway.model.sentence import Sentence
from gateway.model.session import Session


class Section(Enum):
    """In the order in which they are shown."""

    ACCOUNT = Sentence("Your account")
    ADMINISTRATION = Sentence("Administration")
    OPERATIONS = Sentence("Operations")


@dataclass(frozen=True, slots=True)
class Entry:
    """A page's link in the navigation, for people who may open the page. `order` is its position in its section.

    `is_for` leaves out people for whom the page, although they may open it, has nothing.
    """

    section: Section
    order: int
    label: Sentence
    is_for: Callable[[Session], bool] = lambda session: True
