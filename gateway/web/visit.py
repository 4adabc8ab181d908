"""What a page is told of the request that asks for it, and how it reads the form that came with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from gateway.model.inbound import Inbound
from gateway.model.session import Session
from gateway.web import form_data as sent


@dataclass(frozen=True, slots=True)
class Visit:
    """What is known of a request to a page. `session` may lack factors; who is signed in is `signed_in`.

    `now` is when the request came or, for a form, when all of it was here; UTC seconds.
    """

    inbound: Inbound
    session: Session | None
    now: int

    @property
    def signed_in(self) -> Session | None:
        """The session, if it has proved everything that its account needs."""
        return None if self.session is None or self.session.missing is not None else self.session


VISIT = web.RequestKey("visit", Visit)
Judge = Callable[[Inbound], Awaitable[Visit | None]]
JUDGE: web.RequestKey[Judge] = web.RequestKey("judge", Callable)  # type: ignore[arg-type]


def visit_of(request: web.Request) -> Visit:
    return request[VISIT]


def asked_of(request: web.Request, name: str) -> str:
    """Return what the address asks for under `name`, "" for nothing; without NUL, which PostgreSQL takes nowhere."""
    return request.query.get(name, "").replace("\0", "")


def signed_in_of(request: web.Request) -> Session:
    """Return the session of who is signed in. The gate lets nobody else get to a page that calls this."""
    session = visit_of(request).signed_in
    if session is None:
        raise web.HTTPForbidden
    return session


@dataclass(frozen=True, slots=True)
class Form:
    """A form that was sent. A field that came twice counts as not sent (see web.form_data)."""

    fields: Mapping[str, str]

    def text(self, name: str) -> str:
        return self.fields.get(name, "")

    @property
    def is_confirmed(self) -> bool:
        """Whether it comes from the page that asks before something reaches other people (confirm.html)."""
        return self.text("confirmed") == "yes"


FORM = web.RequestKey("form", Form)


async def read_form(request: web.Request) -> Form:
    """Read a urlencoded or multipart form of at most 64 kB, once. Raises HTTPBadRequest where it is broken."""
    if FORM not in request:
        form = Form(await sent.read_texts(request))
        await look_again(request)
        request[FORM] = form
    return request[FORM]


async def read_file(request: web.Request, name: str, max_bytes: int) -> bytes:
    """Return the content of the file that was sent as `name`, b"" if none was. A larger one is refused (413)."""
    content = await sent.read_upload(request, name, max_bytes)
    await look_again(request)
    return content


async def look_again(request: web.Request) -> None:
    """Decide about the visit once more, now that all of it has come, and go by what is true now.

    A form passes the gate when its head comes; its last byte may follow a minute later. Who lost a role, or was
    signed out, in that minute would still be who they were.
    """
    visit = await request[JUDGE](visit_of(request).inbound)
    if visit is None:
        raise web.HTTPForbidden
    request[VISIT] = visit
