"""A request that is recorded as a page view, until its status is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.model.inbound import Inbound

NEVER = -1


@dataclass(slots=True, eq=False)
class Views:
    """Where a worker collects the page views of a session, or of an API token: those of one second and one address.

    `at` is the second (UTC), or NEVER. `texts` belong to the collector (page_views.collector).
    """

    account: str
    session: str
    tenant: str
    at: int = NEVER
    address: str = ""
    texts: list[str] = field(default_factory=list)


# Whose view it is, the request, and when it began (UTC seconds). A plain tuple, because one is made for each request.
Opened = tuple[Views, Inbound, int]

# Records a request once its status is known.
NoteView = Callable[[Opened, int], None]
