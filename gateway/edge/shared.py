"""Shared by all client connections of a worker: clock, limits, and the text of failures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.edge.request import Reader
from gateway.model.inbound import Inbound
from gateway.model.page_view import NoteView
from gateway.model.session import Session
from gateway.observe.refusals import Scarce
from gateway.observe.served import Served, Unread
from gateway.throttle.client import client_of
from gateway.throttle.shares import Shares
from gateway.wire.deadlines import Deadlines
from gateway.wire.failures import Failure

Tell = Callable[[Failure, Inbound | None, str, Session | None], tuple[list[bytes], bytes]]


@dataclass(frozen=True, slots=True)
class Patience:
    """Timeouts in seconds: for a complete head, for progress in a body or a response, and between requests.

    `rate` is in bytes per second: slower bodies and responses are ended after `body` seconds.
    """

    head: float
    body: float
    idle: float
    rate: float


@dataclass(slots=True, kw_only=True)
class Shared:
    """`tell` returns field lines and body for a failure. `record` logs and counts each request at its end, with the
    status and the number of body bytes sent. `note_view` records those that are page views.

    Clients get fair shares of the connections (`places`), except where `is_proxy` is true of the peer, and of the
    `bodies` that are buffered at once. `refused` is called for each refusal.
    """

    reader: Reader
    deadlines: Deadlines
    patience: Patience
    max_head_bytes: int
    max_connections: int
    max_bodies: int
    is_proxy: Callable[[str], bool]
    refused: Callable[[Scarce, str, bool], None]
    tell: Tell
    record: Callable[[Served | Unread, int, int], None]
    note_view: NoteView
    places: Shares[None] = field(init=False)
    bodies: Shares[None] = field(init=False)

    def __post_init__(self) -> None:
        self.places = Shares[None](self.max_connections)
        self.bodies = Shares[None](self.max_bodies)

    def take(self, scarce: Scarce, address: str) -> bool:
        """Take one of the client's share of connections or bodies, or report the refusal."""
        shares, client = self._shares(scarce), client_of(address)
        if shares.take(client):
            return True
        self.refused(scarce, client, shares.has(client))
        return False

    def release(self, scarce: Scarce, address: str) -> None:
        self._shares(scarce).release(client_of(address))

    def tell_failure(
        self, failure: Failure, inbound: Inbound | None, request_id: str, session: Session | None
    ) -> tuple[list[bytes], bytes]:
        """Return the field lines and the body of the response to a failure."""
        lines, body = self.tell(failure, inbound, request_id, session)
        lines.append(b"X-Request-Id: " + request_id.encode("ascii"))
        return lines, body

    def _shares(self, scarce: Scarce) -> Shares[None]:
        return self.places if scarce is Scarce.CONNECTIONS else self.bodies
