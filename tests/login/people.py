"""Browsers, and what a request from one of them looks like to the sign-in."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.model.inbound import NOTHING, Inbound
from gateway.model.secret import Secret
from gateway.model.session import Session
from gateway.model.token import digest
from gateway.web.visit import Visit
from tests.store.people import NOW

HOME = "192.0.2.7"
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def inbound_of(
    address: str = HOME,
    user_agent: str = BROWSER,
    *,
    session_key: bytes | None = None,
    attempt_key: bytes | None = None,
) -> Inbound:
    return Inbound(
        method="POST",
        target=b"/login",
        readings=("/login",),
        host="app.example.com",
        address=address,
        is_trusted=False,
        request_id="req-1",
        session_key=session_key,
        attempt_key=attempt_key,
        cookies=(),
        nominated=NOTHING,
        lines=[f"User-Agent: {user_agent}".encode()],
        hints={},
        length=0,
        is_http_1_1=True,
        is_keep_alive=True,
        is_websocket=False,
        expects_continue=False,
    )


@dataclass(slots=True)
class Browser:
    """One browser with its two cookies, and the session that the gateway finds for the first of them."""

    address: str = HOME
    user_agent: str = BROWSER
    attempt: Secret[str] | None = None
    cookie: Secret[str] | None = None
    session: Session | None = None

    def visit(self) -> Visit:
        inbound = inbound_of(
            self.address, self.user_agent, session_key=key_of(self.cookie), attempt_key=key_of(self.attempt)
        )
        return Visit(inbound, self.session, NOW)


def key_of(cookie: Secret[str] | None) -> bytes | None:
    return digest(cookie.reveal().encode()) if cookie else None
