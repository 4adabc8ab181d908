"""Forward-auth: another proxy asks what would become of a request, and then forwards it itself.

Two dialects are spoken (docs/forward-auth.md has what each proxy sends):

- nginx's auth_request, also as ingress-nginx uses it, describes the request in `X-Original-*`. It understands 2xx, 401
  and 403, and takes everything else for an error of its own. What its client is to be told stands in `X-Otium-Status`.
- Traefik and Caddy describe it in `X-Forwarded-*`, and hand their client what they are answered here.

The proxy forwards the fields that it asked with, so what the gateway would have taken out it can only refuse.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping

from gateway.edge.client_request import ClientRequest
from gateway.edge.origin import is_foreign_websocket
from gateway.edge.reach import DESCRIBING, NAMING
from gateway.edge.request import Reader
from gateway.model.factor import Factor
from gateway.model.inbound import Inbound
from gateway.model.session import Session
from gateway.observe.logs import get_logger
from gateway.policy.decision import Forward, Rules, SignIn, StepUp, decide
from gateway.proxy.identity import Identities
from gateway.web.return_to import way_query
from gateway.wire.deadlines import Deadlines
from gateway.wire.failures import Failure
from gateway.wire.http1 import HOP_BY_HOP, following
from gateway.wire.names import SAID_BY_PROXIES

log = get_logger("front")

NO_STORE = b"Cache-Control: no-store"
JSON = b"Content-Type: application/json"
NGINX = frozenset((b"x-original-method", b"x-original-uri", b"x-original-url"))
HANDSHAKE = (b"sec-websocket-key", b"sec-websocket-version")
URL = re.compile(rb"https?://([^/?#]+)(/.*)", re.IGNORECASE)
SIGN_IN = "sign_in_required", "Sign in to continue."
OPTIONS = (
    "options_not_listed",
    "OPTIONS is passed on only where an entry of public or machine in access.toml lists it in methods.",
)
PROOF = "proof_required", "Confirm that it is you to continue."
CHALLENGE = b'WWW-Authenticate: Session realm="sign-in"'


class ForwardAuth:
    """Decides with the same rules about the request that a trusted proxy describes."""

    def __init__(
        self,
        reader: Reader,
        rules: Rules,
        clock: Deadlines,
        identities: Identities,
        steps: Mapping[Factor, str],
        public_origin: str,
        origins: Collection[str],
    ) -> None:
        self._reader = reader
        self._rules = rules
        self._clock = clock
        self._identities = identities
        self._steps = steps
        self._public_origin = public_origin
        self._origins = origins
        self._replaced = frozenset(name.lower().encode("ascii") for name in identities.names)

    def adopt(self, rules: Rules) -> None:
        self._rules = rules

    def answer(self, client: ClientRequest, inbound: Inbound, session: Session | None) -> None:
        """Answer 204 with the identity, or with what the proxy's client is to be told."""
        if not inbound.is_trusted:
            client.refuse(Failure.FORBIDDEN)
            return
        original = self._original(inbound)
        if isinstance(original, Failure):
            refuse(client, inbound, original)
            return
        match decide(original, session, self._rules, self._clock.utc):
            case Forward(known) if known and is_foreign_websocket(original, self._origins):
                refuse(client, inbound, Failure.FORBIDDEN)
            case Forward(known):
                self._admit(client, inbound, known)
            case SignIn() if original.method == "OPTIONS":
                refuse_options(client, inbound)
            case SignIn():
                self._send_away(client, original, Factor.PASSWORD, "", SIGN_IN)
            case StepUp(_, factor):
                self._send_away(client, original, factor, "&again=1", PROOF)
            case _:
                refuse(client, inbound, Failure.FORBIDDEN)

    def _admit(self, client: ClientRequest, inbound: Inbound, session: Session | None) -> None:
        """Answer with the identity, and with the cookies but for the gateway's own: the proxy forwards these."""
        cookies = b"; ".join(inbound.values(b"cookie"))
        identity = self._identities.answer_lines(session, self._clock.utc)
        client.answer(204, (NO_STORE, *identity, b"Cookie: " + cookies), b"")

    def _send_away(
        self, client: ClientRequest, original: Inbound, factor: Factor, more: str, told: tuple[str, str]
    ) -> None:
        """A person is taken to where they sign in; a program is told of it."""
        address = f"{self._entrance(original)}{self._steps[factor]}?{way_query(original, self._origins)}{more}"
        location = b"Location: " + address.encode("ascii")
        if is_from_nginx(original):
            status = b"303" if original.is_page else b"401"
            client.answer(401, (NO_STORE, location, b"X-Otium-Status: " + status, CHALLENGE), b"")
        elif original.is_page:
            client.answer(303, (NO_STORE, location), b"")
        else:
            error, message = told
            body = {"error": error, "message": message, "sign_in": address, "request_id": original.request_id}
            client.answer(401, (NO_STORE, CHALLENGE, JSON), json.dumps(body).encode())

    def _entrance(self, original: Inbound) -> str:
        """Return the origin under which to sign in: the one that was asked for, as a session's cookie is of one host.

        Only a proxy that tells of it can be relied on; one that does not may have put a name of its own into Host.
        """
        origin = f"{self._public_origin.partition('://')[0]}://{original.host}"
        is_told = b"x-forwarded-host" in original.hints or b"x-original-url" in original.hints
        return origin if is_told and origin in self._origins else self._public_origin

    def _original(self, inbound: Inbound) -> Inbound | Failure:
        """Return the request that the proxy asks about, judged by the same reader as any other."""
        described = describe(inbound)
        claims = [name for name in inbound.dropped if name not in SAID_BY_PROXIES | HOP_BY_HOP | self._replaced]
        if claims:
            # The proxy would forward it, and the application might believe it.
            names = ", ".join(name.decode("ascii") for name in claims)
            log.warning("forward_auth_refused", reason=f"it carries {names}", request_id=inbound.request_id)
            return Failure.BAD_REQUEST
        if described is None:
            return Failure.BAD_REQUEST
        method, target, host = described
        lines = [line for line in inbound.lines if line.partition(b":")[0].lower() in DESCRIBING]
        if method in NAMING:
            lines.append(b"Content-Length: 1")  # proxies keep bodies to themselves; this method's may name anything
        first = b"%b %b HTTP/1.1" % (method, target)
        original = self._reader.read(first + following((b"Host: " + host, *lines))[:-4], "")
        if isinstance(original, Failure):
            return Failure.BAD_REQUEST if original is Failure.WRONG_HOST else original
        return inbound._replace(
            method=original.method,
            target=original.target,
            readings=original.readings,
            host=original.host,
            is_websocket=opens_websocket(inbound) and original.method == "GET",
            reach=original.reach,
        )


def refuse(client: ClientRequest, inbound: Inbound, failure: Failure) -> None:
    """Refuse the request that is asked about, in a way that the proxy understands."""
    if is_from_nginx(inbound):
        status = b"403" if failure is Failure.FORBIDDEN else b"400"
        client.answer(403, (NO_STORE, b"X-Otium-Status: " + status), b"")
    else:
        client.refuse(failure)


def refuse_options(client: ClientRequest, inbound: Inbound) -> None:
    """Refuse an OPTIONS that no entry lists. To sign in would change nothing, so nobody is asked to."""
    error, message = OPTIONS
    body = {"error": error, "message": message, "request_id": inbound.request_id}
    client.answer(401, (NO_STORE, CHALLENGE, JSON), json.dumps(body).encode())


def opens_websocket(inbound: Inbound) -> bool:
    """Whether the request that is asked about opens a WebSocket.

    Traefik and ingress-nginx keep Connection and Upgrade to themselves when they ask. What a browser says besides
    (RFC 6455 §4.1) is passed on, and no page can add or leave out any of it.
    """
    return inbound.is_websocket or any(inbound.value(name) is not None for name in HANDSHAKE)


def is_from_nginx(inbound: Inbound) -> bool:
    return not NGINX.isdisjoint(inbound.hints)


def describe(inbound: Inbound) -> tuple[bytes, bytes, bytes] | None:
    """Return method, target and host of the request that is asked about; None where they are missing or disagree."""
    hints = inbound.hints
    methods = {hints[name] for name in (b"x-original-method", b"x-forwarded-method") if name in hints}
    targets = {hints[name] for name in (b"x-original-uri", b"x-forwarded-uri") if name in hints}
    host = hints.get(b"x-forwarded-host", inbound.host.encode("ascii"))
    if b"x-original-url" in hints:
        url = URL.fullmatch(hints[b"x-original-url"])
        if url is None:
            return None
        host = url[1]
        targets.add(url[2])
    return (methods.pop(), targets.pop(), host) if len(methods) == len(targets) == 1 else None
