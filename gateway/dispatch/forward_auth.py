"""Forward-auth: another proxy asks whether a request is allowed, and then forwards it itself.

There are two dialects (docs/forward-auth.md describes what each proxy sends):

- nginx's auth_request, also in ingress-nginx, describes the request in `X-Original-*`. It understands 2xx, 401 and 403,
  and treats everything else as an internal error. The status for its client is in `X-Otium-Status`.
- Traefik and Caddy describe it in `X-Forwarded-*`, and pass our response to their client.

The proxy forwards the client's fields itself. A request with fields that the gateway would have removed is refused.
Cookie and Authorization it replaces with those of our answer, which have neither session nor token. A proxy that was
set up before there were API tokens would forward them; one that replaces Authorization says so in its address (see
REPLACES).
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from gateway.dispatch.challenges import JSON, NO_STORE, Challenges, refuse_token
from gateway.dispatch.contracts import Notes
from gateway.edge.client_request import ClientRequest
from gateway.edge.origin import is_foreign_websocket
from gateway.edge.reach import DESCRIBING, NAMING
from gateway.edge.request import Reader
from gateway.model.factor import Factor
from gateway.model.inbound import Inbound
from gateway.model.memo import Memo
from gateway.model.session import Session
from gateway.observe.logs import get_logger
from gateway.page_views.record import UNKNOWN
from gateway.policy.decision import Forward, Outside, Refuse, Rules, SignIn, StepUp, decide
from gateway.proxy.identity import Identities
from gateway.web.return_to import way_query
from gateway.wire.deadlines import Deadlines
from gateway.wire.failures import Failure
from gateway.wire.http1 import following
from gateway.wire.names import SAID_BY_PROXIES

log = get_logger("front")

NGINX = frozenset((b"x-original-method", b"x-original-uri", b"x-original-url"))
COOKIE = b"Cookie: "  # as the reader writes it
AUTHORIZATION = b"authorization"
NO_AUTHORIZATION = b"Authorization:"
REPLACES = b"replaces=authorization"
HANDSHAKE = frozenset((b"sec-websocket-key", b"sec-websocket-version"))  # RFC 6455 §4.1
TOLD = DESCRIBING | HANDSHAKE | {AUTHORIZATION}
KNOWN_LINES = 2_000
URL = re.compile(rb"https?://([^/?#]+)(/.*)", re.IGNORECASE)
SIGN_IN = "sign_in_required", "Sign in to continue."
NOT_REPLACED = f"it carries an API token, and the proxy's address for questions doesn't end in ?{REPLACES.decode()}"
PROOF = "proof_required", "Confirm that it is you to continue."


class ForwardAuth:
    """Authorises the request that a trusted proxy describes, by the same rules."""

    def __init__(
        self,
        reader: Reader,
        rules: Rules,
        clock: Deadlines,
        identities: Identities,
        steps: Mapping[Factor, str],
        public_origin: str,
        origins: Collection[str],
        challenges: Challenges,
        notes: Notes,
    ) -> None:
        self._reader = reader
        self._rules = rules
        self._clock = clock
        self._identities = identities
        self._steps = steps
        self._public_origin = public_origin
        self._origins = origins
        self._challenges = challenges
        self._notes = notes
        self._names = Memo[bytes, bytes](KNOWN_LINES)
        # What the proxy replaces in the client's request, by itself or with our answer.
        self._replaced = SAID_BY_PROXIES.union(name.lower().encode("ascii") for name in identities.names)

    def adopt(self, rules: Rules) -> None:
        self._rules = rules

    def answer(self, client: ClientRequest, inbound: Inbound, session: Session | None) -> None:
        """Respond with 204 and the identity, or with the response for the proxy's client."""
        if not inbound.is_trusted:
            client.refuse(Failure.FORBIDDEN)
            return
        is_person = session is not None and session.grant is None
        if not is_person and inbound.has_token and inbound.target.partition(b"?")[2] != REPLACES:
            log.warning("forward_auth_refused", reason=NOT_REPLACED, request_id=inbound.request_id)
            refuse_token(client, inbound)
            return
        cookie, told = self._pick(inbound.lines)
        original = self._original(inbound, told)
        if isinstance(original, Failure):
            refuse(client, inbound, original)
            return
        if session is not None and not is_person:
            self._notes.token(session, original, self._clock.utc)
        if session is not None and session.views is not None:
            client.view = session.views, original, self._clock.utc
        match decide(original, session, self._rules, self._clock.utc):
            case Forward(known) if known and is_foreign_websocket(original, self._origins):
                refuse(client, inbound, Failure.FORBIDDEN)
            case Forward(known):
                self._admit(client, cookie, authorization_of(told) if told else NO_AUTHORIZATION, known)
            case SignIn() if inbound.has_token:
                refuse_token(client, inbound)
            case SignIn() if original.method == "OPTIONS":
                self._challenges.refuse_options(client, inbound)
            case SignIn():
                self._require_sign_in(client, original, Factor.PASSWORD, "", SIGN_IN)
            case StepUp(_, factor):
                self._require_sign_in(client, original, factor, "&again=1", PROOF)
            case Outside(known):
                self._notes.outside(known, original, self._clock.utc)
                refuse(client, inbound, Failure.OTHER_NETWORK)
            case Refuse(_, _, True):
                refuse(client, inbound, Failure.TOKEN_LIMITED)
            case _:
                refuse(client, inbound, Failure.FORBIDDEN)

    def _admit(self, client: ClientRequest, cookie: bytes, authorization: bytes, session: Session | None) -> None:
        """Respond with the identity, and with the cookies and the Authorization to forward: all except the gateway's
        own.
        """
        client.end_view(UNKNOWN)
        identity = self._identities.answer_lines(session, self._clock.utc)
        client.answer(204, (NO_STORE, b"%b%b\r\n%b" % (identity, cookie, authorization)), b"")

    def _require_sign_in(
        self, client: ClientRequest, original: Inbound, factor: Factor, more: str, told: tuple[str, str]
    ) -> None:
        """Redirect a navigation to the sign-in page; respond with 401 to other requests."""
        address = f"{self._sign_in_origin(original)}{self._steps[factor]}?{way_query(original, self._origins)}{more}"
        location = b"Location: " + address.encode("ascii")
        if is_from_nginx(original):
            status = b"303" if original.is_page else b"401"
            challenges = self._challenges.lines(original)
            client.answer(401, (NO_STORE, location, b"X-Otium-Status: " + status, *challenges), b"")
        elif original.is_page:
            client.answer(303, (NO_STORE, location), b"")
        else:
            error, message = told
            body = {"error": error, "message": message, "sign_in": address, "request_id": original.request_id}
            client.answer(401, (NO_STORE, *self._challenges.lines(original), JSON), json.dumps(body).encode())

    def _sign_in_origin(self, original: Inbound) -> str:
        """Return the origin of the sign-in page: the requested one if possible, because session cookies are per host.

        It is used only if the proxy passes it explicitly, since Host may be the proxy's own name for us.
        """
        origin = f"{self._public_origin.partition('://')[0]}://{original.host}"
        is_told = b"x-forwarded-host" in original.hints or b"x-original-url" in original.hints
        return origin if is_told and origin in self._origins else self._public_origin

    def _pick(self, lines: Iterable[bytes]) -> tuple[bytes, list[tuple[bytes, bytes]]]:
        """Return the Cookie line, without a value if there are no cookies, and the lines of TOLD with their names."""
        cookie, told, names = COOKIE, list[tuple[bytes, bytes]](), self._names.young
        for line in lines:
            name = names.get(line)
            if name is None:
                if line.startswith(COOKIE):
                    cookie = line
                    continue
                name = self._name(line)
            if name:
                told.append((name, line))
        return cookie, told

    def _name(self, line: bytes) -> bytes:
        """Return the lower-case name of a line if it is in TOLD, or else b""."""
        name = self._names.recall(line)
        if name is None:
            name = line.partition(b":")[0].lower()
            name = name if name in TOLD else b""
            self._names.put(line, name)
        return name

    def _original(self, inbound: Inbound, told: Sequence[tuple[bytes, bytes]]) -> Inbound | Failure:
        """Return the request that the proxy describes, parsed by the same reader as any other."""
        described = describe(inbound)
        claims = [name for name in inbound.dropped if name not in self._replaced]
        if claims:
            # The proxy would forward these fields, and the application might trust them.
            names = ", ".join(name.decode("ascii") for name in claims)
            log.warning("forward_auth_refused", reason=f"it carries {names}", request_id=inbound.request_id)
            return Failure.BAD_REQUEST
        if described is None or (len(told) > 1 and [name for name, _ in told].count(AUTHORIZATION) > 1):
            return Failure.BAD_REQUEST
        method, target, host = described
        lines = [line for name, line in told if name in DESCRIBING]
        if method in NAMING:
            lines.append(b"Content-Length: 1")  # proxies don't send us the body, which may name any resource
        first = b"%b %b HTTP/1.1" % (method, target)
        original = self._reader.read(first + following((b"Host: " + host, *lines))[:-4], "")
        if isinstance(original, Failure):
            return Failure.BAD_REQUEST if original is Failure.WRONG_HOST else original
        return inbound._replace(
            method=original.method,
            target=original.target,
            readings=original.readings,
            host=original.host,
            # Traefik and ingress-nginx don't send us Connection and Upgrade. They do send the other fields of the
            # handshake, which scripts can't set.
            is_websocket=original.method == "GET"
            and (inbound.is_websocket or any(name in HANDSHAKE for name, _ in told)),
            reach=original.reach,
        )


def authorization_of(told: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return the field line with the client's Authorization, without a value if it has none, or a token."""
    return next((line for name, line in told if name == AUTHORIZATION), NO_AUTHORIZATION)


def refuse(client: ClientRequest, inbound: Inbound, failure: Failure) -> None:
    """Refuse the described request, in the proxy's dialect."""
    if is_from_nginx(inbound):
        status = b"403" if failure.value.status == 403 else b"400"
        client.answer(403, (NO_STORE, b"X-Otium-Status: " + status), b"")
    else:
        client.refuse(failure)


def is_from_nginx(inbound: Inbound) -> bool:
    return not NGINX.isdisjoint(inbound.hints)


def describe(inbound: Inbound) -> tuple[bytes, bytes, bytes] | None:
    """Return method, target and host of the described request; None if they are missing or contradictory."""
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
