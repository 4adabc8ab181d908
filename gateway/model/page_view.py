"""A request that is recorded as a page view, until its status is known."""

from __future__ import annotations

from collections.abc import Callable

from gateway.model.inbound import Inbound
from gateway.model.session import Session

# The session, the request, and when it began (UTC seconds). A plain tuple, because one is made for each request.
Opened = tuple[Session, Inbound, int]

# Records a request once its status is known.
NoteView = Callable[[Opened, int], None]
