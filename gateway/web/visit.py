"""The request as page handlers see it, and its form."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from gateway.model.inbound import Inbound
from gateway.model.session import Session
from gateway.web import form_data as sent


@dataclass(frozen=True, slots=True)
class Visit:
    """A request to a page. `session` may lack factors; `signed_in` has all.

    `now` is when the request, or the complete form, was received, in UTC seconds.
    """

    inbound: Inbound
    session: Session | None
    now: int

    @property
    def signed_in(self) -> Session | None:
        """The session, if it has proved every required factor."""
        return None if self.session is None or self.session.missing is not None else self.session


VISIT = web.RequestKey("visit", Visit)
Judge = Callable[[Inbound], Awaitable[Visit | None]]
JUDGE: web.RequestKey[Judge] = web.RequestKey("judge", Callable)  # type: ignore[arg-type]


def visit_of(request: web.Request) -> Visit:
    return request[VISIT]


def asked_of(request: web.Request, name: str) -> str:
    """Return a query parameter, "" if missing, without NUL, which PostgreSQL rejects."""
    return request.query.get(name, "").replace("\0", "")


def signed_in_of(request: web.Request) -> Session:
    """Return the signed-in session. The route's `need` guarantees it; otherwise raises HTTPForbidden."""
    session = visit_of(request).signed_in
    if session is None:
        raise web.HTTPForbidden
    return session


@dataclass(frozen=True, slots=True)
class Form:
    """A submitted form. Fields that occur twice are left out (see web.form_data)."""

    fields: Mapping[str, str]

    def text(self, name: str) -> str:
        return self.fields.get(name, "")

    @property
    def is_confirmed(self) -> bool:
        """Whether it was sent by the confirmation page (confirm.html)."""
        return self.text("confirmed") == "yes"


FORM = web.RequestKey("form", Form)


async def read_form(request: web.Request) -> Form:
    """Read a urlencoded or multipart form of at most 64 kB, once, then re-authorise. Raises as read_texts does."""
    if FORM not in request:
        form = Form(await sent.read_texts(request))
        await reauthorise(request)
        request[FORM] = form
    return request[FORM]


async def read_file(request: web.Request, name: str, max_bytes: int) -> bytes:
    """Return the content of the file field `name`, b"" if there is none. Raises HTTPRequestEntityTooLarge (413)."""
    content = await sent.read_upload(request, name, max_bytes)
    await reauthorise(request)
    return content


async def reauthorise(request: web.Request) -> None:
    """Re-authorise the request after its body is read, and update its visit.

    The first decision was made when the head arrived. The body may arrive a minute later, and the session or role may
    have been revoked meanwhile.
    """
    visit = await request[JUDGE](visit_of(request).inbound)
    if visit is None:
        raise web.HTTPForbidden
    request[VISIT] = visit
