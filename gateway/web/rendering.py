"""Renders the templates of pages, with their security headers and translations."""

from __future__ import annotations

import gettext
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import jinja2
import jinja2.ext
from aiohttp import web
from markupsafe import Markup

from gateway.model.account import Module, Role, State
from gateway.model.factor import Factor
from gateway.model.sentence import Sentence
from gateway.model.session import Session
from gateway.settings.places import FACTORS, LOCALES, TEMPLATES
from gateway.settings.record import Pages
from gateway.throttle.slices import Slices
from gateway.web.routes import Urls
from gateway.web.visit import Visit
from gateway.wire.failures import Failure

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
# Referrer-Policy is not "no-referrer": browsers would send `Origin: null` with our own forms, which are then refused.
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
RETRY_SECONDS = 5  # the default of Retry-After
STRICT_TRANSPORT = {  # RFC 6797, two years. Subdomains only if set: they may belong to others, without HTTPS.
    "off": {},
    "host": {"Strict-Transport-Security": "max-age=63072000"},
    "subdomains": {"Strict-Transport-Security": "max-age=63072000; includeSubDomains"},
}


def seconds_until(until: int, now: int) -> int:
    """Return the seconds to wait, at least one."""
    return max(1, until - now)


def minutes_of(seconds: int) -> int:
    """Return minutes, rounded up."""
    return -(-seconds // 60)


class Renderer:
    """`is_https` enables HSTS. `version` is that of the static files.

    `name_factors` returns the factors' names for lists, by a translating function.
    """

    def __init__(
        self,
        settings: Pages,
        url: Urls,
        *,
        is_https: bool,
        version: str,
        name_factors: Callable[[Callable[[str], str]], Mapping[Factor, str]],
    ) -> None:
        self._headers = HEADERS | (STRICT_TRANSPORT[settings.hsts] if is_https else {})
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader((TEMPLATES, FACTORS)),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            extensions=[jinja2.ext.i18n],
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters["moment"] = write_moment
        self._environment.filters["stamp"] = write_stamp
        self._environment.filters["stamp_text"] = stamp_text
        translations = gettext.translation("otium_gateway", LOCALES, [settings.language], fallback=True)
        self._environment.install_gettext_translations(translations, newstyle=True)  # type: ignore[attr-defined]
        self._translations = translations
        # For sentences passed to a template. `_()` is for those written in it, and treats them as markup.
        self._environment.filters["translated"] = self.translate
        self.gettext = _ = translations.gettext
        self._environment.globals.update(
            factor_names=name_factors(_),
            words={
                Role.EMPLOYEE: _("Employee"),
                Role.MANAGER: _("Manager"),
                Role.ADMIN: _("Admin"),
                Module.FINANCE: _("Finance"),
                Module.HR: _("HR"),
                Module.LEGAL: _("Legal"),
                State.ACTIVE: _("Active"),
                State.INVITED: _("Invited"),
                State.DISABLED: _("Disabled"),
            },
            brand=settings,
            url=url,
            language=settings.language,
            version=version,
        )

    def page(
        self,
        template: str,
        visit: Visit | None = None,
        *,
        status: int = 200,
        wait: int = 0,
        **context: object,
    ) -> web.Response:
        """Render a page. The top bar shows the person who is signed in on `visit`.

        `wait` is the Retry-After of 429 and 503, in seconds; 0 means RETRY_SECONDS.
        """
        text = self._environment.get_template(template).render(
            session=visit.signed_in if visit else None, here=visit.inbound.path if visit else "", **context
        )
        headers = {"Retry-After": str(wait or RETRY_SECONDS)} if status in (429, 503) else None
        return web.Response(text=text, status=status, content_type="text/html", headers=headers)

    async def long_page(self, template: str, visit: Visit, *, status: int = 200, **context: object) -> web.Response:
        """Render in slices, for pages with an unlimited number of rows, so that the event loop isn't blocked."""
        pieces, slices = list[str](), Slices()
        values = {"session": visit.signed_in, "here": visit.inbound.path, **context}
        for piece in self._environment.get_template(template).generate(values):
            pieces.append(piece)
            await slices.pause()
        return web.Response(text="".join(pieces), status=status, content_type="text/html")

    def warm_up(self) -> None:
        """Compile every template (up to 40 ms each). Runs in a thread, before the first page is requested."""
        for name in self._environment.list_templates(("html",)):
            if not name.startswith("mail/"):
                self._environment.get_template(name)

    def failure(
        self, failure: Failure, request_id: str, session: Session | None = None, *, allow: str = ""
    ) -> web.Response:
        """Render a failure page. `allow` is the Allow header of a 405 (RFC 9110 §15.5.6)."""
        body = self.failure_page(failure, request_id, session)
        headers = {"X-Request-Id": request_id} | ({"Allow": allow} if allow else {})
        if failure.value.retry_after:
            headers["Retry-After"] = str(failure.value.retry_after)
        status = failure.value.status
        return web.Response(body=body, status=status, content_type="text/html", charset="utf-8", headers=headers)

    def failure_page(self, failure: Failure, request_id: str, session: Session | None = None) -> bytes:
        """Render the failure in one sentence, with the request id.

        The top bar shows the person of `session`, unless it lacks a factor.
        """
        known = session if session and session.missing is None else None
        template = self._environment.get_template("web/failure.html")
        return template.render(session=known, here="", told=failure.value, request_id=request_id).encode()

    def framed_page(self, address: str, *, is_lost: bool) -> tuple[list[bytes], bytes]:
        """Return header lines and body of a page that leads to `address`. Pages of this site may frame it."""
        policy = CONTENT_SECURITY_POLICY.replace("frame-ancestors 'none'", "frame-ancestors 'self'")
        own = {**self._headers, "Content-Security-Policy": policy, "X-Frame-Options": "SAMEORIGIN"}
        lines = [f"{name}: {value}".encode() for name, value in own.items()]
        text = self._environment.get_template("web/framed.html").render(address=address, is_lost=is_lost)
        return [b"Content-Type: text/html; charset=utf-8", *lines], text.encode()

    def translate(self, sentence: Sentence) -> str:
        """Return a sentence in the pages' language, with its fields filled in."""
        if not sentence:  # the catalogue has its own header under ""
            return ""
        text = self._translations.gettext(sentence.text)
        return text.format(**sentence.fields) if sentence.fields else text

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of every page, for responses that the edge writes itself."""
        return self._headers


def write_moment(at: int | None) -> Markup:
    """Return a `<time>` element to the minute, in UTC. A script may show the person's own time zone."""
    if at is None:
        return Markup("–")
    written = datetime.fromtimestamp(at, UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        written.strftime("%Y-%m-%dT%H:%M:%SZ"), written.strftime("%d %b %Y, %H:%M UTC")
    )


def write_stamp(at: int) -> Markup:
    """Return a `<time>` element to the second, in UTC."""
    written = datetime.fromtimestamp(at, UTC)
    return Markup('<time datetime="{}">{}</time>').format(written.strftime("%Y-%m-%dT%H:%M:%SZ"), stamp_text(at))


def stamp_text(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%d %b %Y, %H:%M:%S UTC")
