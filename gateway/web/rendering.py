"""Renders the templates of pages, with their security headers and translations."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from aiohttp import web

from gateway.languages.reader import Readers, translate, written_for
from gateway.model.account import Module, Role, State
from gateway.model.factor import Factor
from gateway.model.inbound import Inbound
from gateway.model.sentence import Sentence
from gateway.model.session import Session
from gateway.settings.record import Pages
from gateway.throttle.slices import Slices
from gateway.web.navigation import Navigation
from gateway.web.routes import Urls
from gateway.web.templates import page_environment
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
FEATURES = (
    "camera",
    "microphone",
    "geolocation",
    "payment",
    "publickey-credentials-create",
    "publickey-credentials-get",
)


def permissions_policy(allowed: Collection[str] = ()) -> str:
    """Return the header for a page whose scripts use the features `allowed`. Frames in it may use none."""
    return ", ".join(f"{feature}={'(self)' if feature in allowed else '()'}" for feature in FEATURES)


# Referrer-Policy is not "no-referrer": browsers would send `Origin: null` with our own forms, which are then refused.
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": permissions_policy(),
}
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


WORDS = {
    Role.EMPLOYEE: Sentence("Employee"),
    Role.MANAGER: Sentence("Manager"),
    Role.ADMIN: Sentence("Admin"),
    Module.FINANCE: Sentence("Finance"),
    Module.HR: Sentence("HR"),
    Module.LEGAL: Sentence("Legal"),
    State.ACTIVE: Sentence("Active"),
    State.INVITED: Sentence("Invited"),
    State.DISABLED: Sentence("Disabled"),
}


class Words(Mapping[str, str]):
    """Sentences by name, each in the language of the reader when it is asked for."""

    def __init__(self, sentences: Mapping[Any, Sentence]) -> None:
        self._sentences = sentences

    def __getitem__(self, name: str) -> str:
        return translate(self._sentences[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._sentences)

    def __len__(self) -> int:
        return len(self._sentences)


class Renderer:
    """`is_https` enables HSTS. `version` is that of the static files.

    `factor_names` are the factors' names for lists. `busy_seconds` returns the expected wait of a new sign-in.
    Pages are written for the current reader (languages.reader), whom the application sets; failures, which the edge
    asks for, for the one whom `readers` finds.
    """

    def __init__(
        self,
        settings: Pages,
        url: Urls,
        navigation: Navigation,
        readers: Readers,
        *,
        is_https: bool,
        version: str,
        factor_names: Mapping[Factor, Sentence],
        busy_seconds: Callable[[], int],
    ) -> None:
        self.readers = readers
        self._busy_seconds = busy_seconds
        self._navigation = navigation
        self._headers = HEADERS | (STRICT_TRANSPORT[settings.hsts] if is_https else {})
        self._environment = page_environment()
        self._environment.globals.update(
            factor_names=Words(factor_names),
            words=Words(WORDS),
            brand=settings,
            busy_seconds=busy_seconds,
            url=url,
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

        `wait` is the Retry-After of 429 and 503, in seconds; 0 means as long as sign-in is busy. A template calls
        `allow(feature)` beside a form whose script needs that feature (Permissions-Policy).
        """
        allowed: set[str] = set()

        def allow(feature: str) -> str:
            allowed.add(feature)
            return ""

        around = self._around(visit) if visit else self._frame(None, "")
        text = self._environment.get_template(template).render({**around, "allow": allow, **context})
        headers = {"Retry-After": str(wait or self._busy_seconds())} if status in (429, 503) else {}
        if allowed:
            headers["Permissions-Policy"] = permissions_policy(allowed)
        return web.Response(text=text, status=status, content_type="text/html", headers=headers)

    async def long_page(self, template: str, visit: Visit, *, status: int = 200, **context: object) -> web.Response:
        """Render in slices, for pages with an unlimited number of rows, so that the event loop isn't blocked."""
        pieces, slices = list[str](), Slices()
        for piece in self._environment.get_template(template).generate({**self._around(visit), **context}):
            pieces.append(piece)
            await slices.pause()
        return web.Response(text="".join(pieces), status=status, content_type="text/html")

    def failure(
        self,
        failure: Failure,
        request_id: str,
        session: Session | None = None,
        *,
        allow: str = "",
        address: str = "",
    ) -> web.Response:
        """Render a failure page. `allow` is the Allow header of a 405 (RFC 9110 §15.5.6)."""
        body = self.failure_page(failure, request_id, session, address)
        headers = {"X-Request-Id": request_id} | ({"Allow": allow} if allow else {})
        if seconds := self.retry_after(failure):
            headers["Retry-After"] = str(seconds)
        status = failure.value.status
        return web.Response(body=body, status=status, content_type="text/html", charset="utf-8", headers=headers)

    def retry_after(self, failure: Failure) -> int:
        """Return the seconds after which to try again, 0 if that does not help."""
        return self._busy_seconds() if failure is Failure.SIGN_IN_BUSY else failure.value.retry_after

    def failure_page(
        self, failure: Failure, request_id: str, session: Session | None = None, address: str = ""
    ) -> bytes:
        """Render the failure in one sentence, with the request id, and for OTHER_NETWORK the client's address.

        The top bar shows the person of `session`, unless it lacks a factor.
        """
        known = session if session and session.missing is None else None
        template = self._environment.get_template("web/failure.html")
        told = {"told": failure.value, "request_id": request_id, "address": address}
        return template.render(self._frame(known, ""), **told).encode()

    def _around(self, visit: Visit) -> dict[str, object]:
        """Return what every page of a visit may use: its frame, and the time."""
        return {**self._frame(visit.signed_in, visit.inbound.path), "now": visit.now}

    def _frame(self, session: Session | None, path: str) -> dict[str, object]:
        """Return what the frame of a page at `path` shows. It has one name, which no template's own may replace."""
        return {"session": session, "here": path, "around": self._navigation.around(session, path)}

    def framed_page(self, inbound: Inbound, address: str, *, is_lost: bool) -> tuple[list[bytes], bytes]:
        """Return header lines and body of a page that leads to `address`. Pages of this site may frame it."""
        policy = CONTENT_SECURITY_POLICY.replace("frame-ancestors 'none'", "frame-ancestors 'self'")
        own = {**self._headers, "Content-Security-Policy": policy, "X-Frame-Options": "SAMEORIGIN"}
        lines = [f"{name}: {value}".encode() for name, value in own.items()]
        with written_for(self.readers.of(inbound)):
            text = self._environment.get_template("web/framed.html").render(address=address, is_lost=is_lost)
        return [b"Content-Type: text/html; charset=utf-8", *lines], text.encode()

    def frame(self, origins: Collection[str]) -> web.Response:
        """Return an empty page that only pages of these origins may frame."""
        ancestors = " ".join(origins) or "'none'"
        headers = {
            "Content-Security-Policy": f"default-src 'none'; frame-ancestors {ancestors}; base-uri 'none'",
            "Cross-Origin-Resource-Policy": "cross-origin",
        }
        return web.Response(content_type="text/html", headers=headers)

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of every page, for responses that the edge writes itself."""
        return self._headers
