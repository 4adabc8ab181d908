"""The responses 401 for programs, and which schemes of authentication they offer (RFC 9110 §11.6.1)."""

from __future__ import annotations

import json

from gateway.edge.client_request import ClientRequest
from gateway.edge.request_line import SERVER_ITSELF
from gateway.model.inbound import Inbound
from gateway.wire.http1 import ALLOW

NO_STORE = b"Cache-Control: no-store"
JSON = b"Content-Type: application/json"
CHALLENGE = b'WWW-Authenticate: Session realm="sign-in"'
# Basic first: nginx before 1.23 passes on only the first that forward-auth answers, and programs that need to be told
# know nothing else.
TOKEN_CHALLENGES = (
    b'WWW-Authenticate: Basic realm="Email and API token", charset="UTF-8"',
    b'WWW-Authenticate: Bearer realm="API token"',
)
OPTIONS = (
    "options_not_listed",
    "OPTIONS is passed on only where an entry of public or machine in access.toml lists it in methods, "
    "or with an API token.",
)
TOKEN = "token_refused", "This API token is unknown, has expired or was revoked, or its user name is another."


class Challenges:
    """If it `takes_tokens`, programs are offered the schemes by which they can send one."""

    def __init__(self, *, takes_tokens: bool) -> None:
        self._of_tokens = TOKEN_CHALLENGES if takes_tokens else ()

    def lines(self, inbound: Inbound) -> tuple[bytes, ...]:
        """Return the challenges for a request without credentials.

        Browsers get none for Basic: they would ask for a password in a window of their own, on top of the page whose
        script sent the request.
        """
        return (CHALLENGE,) if is_from_browser(inbound) else (*self._of_tokens, CHALLENGE)

    def answer_options(self, client: ClientRequest, inbound: Inbound) -> None:
        """Respond to an OPTIONS that is not forwarded: for the server itself (RFC 9110 §9.3.7), or refused."""
        if inbound.target == SERVER_ITSELF:
            client.answer(204, (ALLOW, NO_STORE), b"")
            return
        self.refuse_options(client, inbound)

    def refuse_options(self, client: ClientRequest, inbound: Inbound) -> None:
        """Refuse an OPTIONS that no entry lists, without offering to sign in, which would not help."""
        answer(client, inbound, OPTIONS, self.lines(inbound))


def is_from_browser(inbound: Inbound) -> bool:
    names = (b"sec-fetch-mode", b"origin", b"x-requested-with")
    return any(inbound.value(name) is not None for name in names) or "Mozilla/" in inbound.user_agent


def refuse_token(client: ClientRequest, inbound: Inbound) -> None:
    """Refuse what is no token, or not any more. Never a redirect: programs would follow it to the sign-in page."""
    answer(client, inbound, TOKEN, TOKEN_CHALLENGES)


def answer(client: ClientRequest, inbound: Inbound, told: tuple[str, str], challenges: tuple[bytes, ...]) -> None:
    error, message = told
    body = {"error": error, "message": message, "request_id": inbound.request_id}
    client.answer(401, (NO_STORE, *challenges, JSON), json.dumps(body).encode())
