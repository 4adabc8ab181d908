"""Forward-auth: another proxy (nginx auth_request, Caddy, Traefik) asks what would become of a request."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from gateway.deadlines import Deadlines
from gateway.edge.connection import ClientConnection
from gateway.edge.inbound import Inbound
from gateway.edge.origin import is_foreign_websocket
from gateway.edge.request import Reader
from gateway.edge.return_to import way_query
from gateway.factors.record import Factor
from gateway.failures import Failure
from gateway.gate import Forward, Rules, SignIn, StepUp, decide
from gateway.http1 import METHODS
from gateway.proxy.identity import Identities
from gateway.sessions.record import Session

NO_STORE = b"Cache-Control: no-store"


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

    def adopt(self, rules: Rules) -> None:
        self._rules = rules

    def answer(self, client: ClientConnection, inbound: Inbound, session: Session | None) -> None:
        """Answer 204 with the identity, 401 with where to sign in, or 403 (nginx auth_request, Caddy, Traefik)."""
        original = self._original(inbound)
        if isinstance(original, Failure):
            client.refuse(original)
            return
        match decide(original, session, self._rules, self._clock.utc):
            case Forward(known) if known and is_foreign_websocket(original, self._origins):
                client.refuse(Failure.FORBIDDEN)
            case Forward(known):
                client.answer(204, (NO_STORE, *self._identities.answer_lines(known, self._clock.utc)), b"")
            case SignIn():
                self._send_away(client, original, Factor.PASSWORD, "")
            case StepUp(_, factor):
                self._send_away(client, original, factor, "&again=1")
            case _:
                client.refuse(Failure.FORBIDDEN)

    def _send_away(self, client: ClientConnection, original: Inbound, factor: Factor, more: str) -> None:
        address = f"{self._public_origin}{self._steps[factor]}?{way_query(original, self._origins)}{more}"
        location = b"Location: " + address.encode("ascii")
        client.answer(401, (NO_STORE, location, b'WWW-Authenticate: Session realm="sign-in"'), b"")

    def _original(self, inbound: Inbound) -> Inbound | Failure:
        """Return the request that the proxy asks about, judged by the same reader as any other."""
        if not inbound.is_trusted:
            return Failure.FORBIDDEN
        method = only(inbound.hints, b"x-original-method", b"x-forwarded-method")
        target = only(inbound.hints, b"x-original-uri", b"x-forwarded-uri")
        host = inbound.hints.get(b"x-forwarded-host", inbound.host.encode("ascii"))
        if method is None or target is None or method.decode("ascii", "replace") not in METHODS:
            return Failure.BAD_REQUEST
        original = self._reader.read(b"%b %b HTTP/1.1\r\nHost: %b" % (method, target, host), "")
        if isinstance(original, Failure):
            return original
        return inbound._replace(
            method=original.method,
            target=original.target,
            readings=original.readings,
            host=original.host,
            is_websocket=inbound.is_websocket and original.method == "GET",
        )


def only(hints: Mapping[bytes, bytes], *names: bytes) -> bytes | None:
    """Return the one value that is given under `names`; None where there is none, or they disagree."""
    values = {hints[name] for name in names if name in hints}
    return values.pop() if len(values) == 1 else None
