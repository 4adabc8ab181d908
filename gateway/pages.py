"""Pages: templates rendered with the headers that every one of them has, and the way a request gets to them.

The pages' application runs behind the same front connection as everything else. What the edge found out about a
request is not parsed again: it stays on the `Desk`, and the request carries only the ticket for it, which the
edge sets and takes away from everybody else. Every form is refused here unless one of our own pages sent it, so
that no page can forget to ask.
"""

from __future__ import annotations

import gettext
import mimetypes
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

import jinja2
from aiohttp import web
from markupsafe import Markup

from gateway import sent
from gateway.accounts.record import Module, Role, State
from gateway.edge.inbound import Inbound
from gateway.edge.origin import is_own_post
from gateway.factors.record import Factor
from gateway.failures import Failure
from gateway.logs import get_logger
from gateway.places import LOCALES, TEMPLATES
from gateway.sealing import Unopenable
from gateway.sessions.record import Session
from gateway.settings.record import Pages
from gateway.store import StoreUnavailable

log = get_logger("pages")

MAX_FORM_BYTES = 65_536
MAX_WAITING = 20_000  # tickets; more than there can be requests at once
TICKET = "Gateway-Ticket"

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
# Not "no-referrer": with it browsers send `Origin: null` with our own forms, and these are refused then.
SERVER = "otium-gateway"
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=()",
}
STRICT_TRANSPORT = {"Strict-Transport-Security": "max-age=63072000; includeSubDomains"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Visit:
    """What is known of a request to a page. `session` may lack factors; who is signed in is `signed_in`."""

    inbound: Inbound
    session: Session | None

    @property
    def signed_in(self) -> Session | None:
        """The session, if it has proved everything that its account needs."""
        return None if self.session is None or self.session.missing is not None else self.session


VISIT = web.RequestKey("visit", Visit)
Judge = Callable[[Inbound], Awaitable[Visit | None]]
JUDGE: web.RequestKey[Judge] = web.RequestKey("judge", Callable)  # type: ignore[arg-type]


class Desk:
    """Holds visits between the edge and the pages. A ticket is good once and can't be guessed."""

    def __init__(self) -> None:
        self._visits: dict[str, Visit] = {}

    def hand_over(self, visit: Visit) -> bytes:
        while len(self._visits) >= MAX_WAITING:
            del self._visits[next(iter(self._visits))]  # of a client that left before its page was asked
        ticket = secrets.token_urlsafe(16)
        self._visits[ticket] = visit
        return ticket.encode("ascii")

    def take(self, ticket: str) -> Visit | None:
        return self._visits.pop(ticket, None)


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


class Renderer:
    """Renders templates and serves the few static files, which lie below `static_path`.

    `is_https`: whether browsers may insist on it.
    """

    def __init__(
        self,
        settings: Pages,
        *,
        is_https: bool,
        sign_out_path: str,
        security_path: str,
        people_path: str,
        operations_path: str,
        static_path: str,
    ) -> None:
        self._headers = HEADERS | (STRICT_TRANSPORT if is_https else {})
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            extensions=["jinja2.ext.i18n"],
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters["moment"] = write_moment
        self._environment.filters["stamp"] = write_stamp
        self._environment.filters["stamp_text"] = stamp_text
        translations = gettext.translation("otium_gateway", LOCALES, [settings.language], fallback=True)
        self._environment.install_gettext_translations(translations, newstyle=True)  # type: ignore[attr-defined]
        self._static = self._load_static(settings)
        self._translations = translations
        # For sentences that a template is given; `_()` is for those that stand in it, and takes them for markup.
        self._environment.filters["translated"] = self.translate
        _ = translations.gettext
        self._environment.globals.update(
            factor_names={
                Factor.PASSWORD: _("password"),
                Factor.TOTP: _("authenticator code"),
                Factor.BACKUP_CODE: _("backup code"),
                Factor.MAGIC_LINK: _("mailed link"),
            },
            words={
                Role.EMPLOYEE: _("employee"),
                Role.MANAGER: _("manager"),
                Role.ADMIN: _("admin"),
                Module.FINANCE: _("finance"),
                Module.HR: _("HR"),
                Module.LEGAL: _("legal"),
                State.ACTIVE: _("active"),
                State.INVITED: _("invited"),
                State.DISABLED: _("disabled"),
            },
            brand=settings,
            sign_out_path=sign_out_path,
            security_path=security_path,
            people_path=people_path,
            operations_path=operations_path,
            static=static_path,
            language=settings.language,
            version=sha256(b"".join(content for content, _ in self._static.values())).hexdigest()[:12],
        )

    def page(
        self,
        template: str,
        visit: Visit | None = None,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        **context: object,
    ) -> web.Response:
        """Return a page. The topbar shows who is signed in on `visit`."""
        text = self._environment.get_template(template).render(
            session=visit.signed_in if visit else None, here=visit.inbound.path if visit else "", **context
        )
        return web.Response(text=text, status=status, content_type="text/html", headers=headers)

    def failure(self, failure: Failure, request_id: str, session: Session | None = None) -> web.Response:
        body = self.failure_page(failure, request_id, session)
        headers = {"X-Request-Id": request_id}
        status = failure.value.status
        return web.Response(body=body, status=status, content_type="text/html", charset="utf-8", headers=headers)

    def failure_page(self, failure: Failure, request_id: str, session: Session | None = None) -> bytes:
        """Return a whole page that says what went wrong, in one sentence, with the request id.

        The topbar shows whose `session` it is, unless it lacks a factor.
        """
        known = session if session and session.missing is None else None
        template = self._environment.get_template("failure.html")
        return template.render(session=known, here="", told=failure.value, request_id=request_id).encode()

    def translate(self, sentence: str) -> str:
        """Return a sentence of ours in the language of the pages."""
        return self._translations.gettext(sentence)

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of every page, for answers that the edge makes itself."""
        return self._headers

    async def static(self, request: web.Request) -> web.StreamResponse:
        """Serve one of the files read at the start: there is no path to walk out of."""
        found = self._static.get(request.match_info["name"])
        if found is None:
            raise web.HTTPNotFound
        content, content_type = found
        headers = {"Cache-Control": "public, max-age=86400"}
        return web.Response(body=content, content_type=content_type, charset="utf-8", headers=headers)

    def _load_static(self, settings: Pages) -> dict[str, tuple[bytes, str]]:
        files = {
            path.name: (path.read_bytes(), mimetypes.guess_type(path.name)[0] or "application/octet-stream")
            for path in sorted((TEMPLATES / "static").iterdir())
        }
        # The colours come from the settings, and the policy allows no style within a page.
        brand = self._environment.get_template("brand.css").render(
            accent=settings.accent, ink=readable_on(settings.accent)
        )
        return {**files, "brand.css": (brand.encode(), "text/css")}


def write_moment(at: int | None) -> Markup:
    """Return a time (UTC seconds) as people read it; a script may put it into their own zone."""
    if at is None:
        return Markup("–")
    written = datetime.fromtimestamp(at, UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        written.strftime("%Y-%m-%dT%H:%M:%SZ"), written.strftime("%d %b %Y, %H:%M UTC")
    )


def write_stamp(at: int) -> Markup:
    """Return a time (UTC seconds) to the second."""
    written = datetime.fromtimestamp(at, UTC)
    return Markup('<time class="stamp" datetime="{}">{}</time>').format(
        written.strftime("%Y-%m-%dT%H:%M:%SZ"), stamp_text(at)
    )


def stamp_text(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%d %b %Y, %H:%M:%S UTC")


def readable_on(colour: str) -> str:
    """Return the text colour, black or white, with the higher contrast on `colour` (WCAG 2.2, relative luminance)."""
    luminance = relative_luminance(colour)
    return "#ffffff" if 1.05 / (luminance + 0.05) >= (luminance + 0.05) / 0.05 else "#000000"


def relative_luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def pages_application(renderer: Renderer, desk: Desk, public_origin: str, judge: Judge) -> web.Application:
    """Return an application without routes, in which every request is known and every form is our own.

    `judge` says who a request is from by now, or None if its page is no more for them.
    """

    @web.middleware
    async def frame(request: web.Request, handler: Handler) -> web.StreamResponse:
        visit = desk.take(request.headers.get(TICKET, ""))
        if visit is None:
            log.error("page_without_ticket", page=page_of(request))
            return renderer.failure(Failure.INTERNAL, "unknown")
        request[VISIT] = visit
        request[JUDGE] = judge
        if request.method not in ("GET", "HEAD") and not is_own_post(visit.inbound, public_origin):
            return renderer.failure(Failure.FOREIGN_FORM, visit.inbound.request_id, visit.session)
        return await answer(request, handler, renderer, visit)

    async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
        if "token" in request.match_info:  # the address is a secret, and the application keeps the Referers it is sent
            response.headers["Referrer-Policy"] = "strict-origin"
        for name, value in renderer.headers.items():
            response.headers.setdefault(name, value)
        response.headers["Server"] = SERVER

    application = web.Application(middlewares=[frame], client_max_size=MAX_FORM_BYTES)
    application.on_response_prepare.append(add_headers)
    return application


async def answer(request: web.Request, handler: Handler, renderer: Renderer, visit: Visit) -> web.StreamResponse:
    """Call the handler; translate what it raises, once, into pages."""
    request_id, session = visit.inbound.request_id, visit.session
    try:
        return await handler(request)
    except web.HTTPNotFound:
        return renderer.failure(Failure.NOT_FOUND, request_id, session)
    except web.HTTPMethodNotAllowed:
        return renderer.failure(Failure.METHOD_NOT_ALLOWED, request_id, session)
    except web.HTTPRequestEntityTooLarge:
        return renderer.failure(Failure.BODY_TOO_LARGE, request_id, session)
    except web.HTTPForbidden:
        return renderer.failure(Failure.FORBIDDEN, request_id)
    except web.HTTPException as error:
        failure = Failure.BAD_REQUEST if error.status < 500 else Failure.INTERNAL
        return renderer.failure(failure, request_id, session)
    except StoreUnavailable as error:
        log.error("store_unavailable", reason=str(error), request_id=request_id)
        return renderer.failure(Failure.STORE_AWAY, request_id, session)
    except Unopenable as error:
        log.error("secret_missing", reason=str(error), page=page_of(request), request_id=request_id)
        return renderer.failure(Failure.STORE_AWAY, request_id, session)
    except Exception:
        log.exception("page_failed", page=page_of(request), request_id=request_id)
        return renderer.failure(Failure.INTERNAL, request_id, session)


def page_of(request: web.Request) -> str:
    """Return the page's path without what is variable in it: that may be the token of a link."""
    resource = request.match_info.route.resource
    return resource.canonical if resource else "none"


@dataclass(frozen=True, slots=True)
class Form:
    """A form that was sent. A field that came twice counts as not sent (see sent.py)."""

    fields: Mapping[str, str]

    def text(self, name: str) -> str:
        return self.fields.get(name, "")


async def read_form(request: web.Request) -> Form:
    """Read a urlencoded or multipart form of at most 64 kB. Raises HTTPBadRequest where it is broken."""
    form = Form(await sent.read_texts(request))
    await look_again(request)
    return form


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
