"""A small OpenID provider for the bench: discovery, the code flow, and id_tokens signed with RS256.

It does what a relying party checks (OpenID Connect Core 1.0 §3.1): a code is valid once, for the redirect_uri it was
issued for, and only together with the client's secret; the id_token repeats the nonce. It asks for no password:
each sign-in is that of the next person, because only the requests after it are measured.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "bench", "secret-of-the-bench"
VALID_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Grant:
    """What a code stands for."""

    person: int
    redirect_uri: str
    nonce: str


class Provider(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server_port}"
        self.key = RSAKey.generate_key(2048, {"kid": "bench", "use": "sig", "alg": "RS256"})
        self._people = itertools.count()
        self._grants: dict[str, Grant] = {}

    def metadata(self) -> dict[str, object]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        }

    def authorize(self, query: dict[str, str]) -> str | None:
        """Return where the browser goes next; None where the request is wrong."""
        if query.get("client_id") != CLIENT or query.get("response_type") != "code":
            return None
        code = secrets.token_urlsafe(24)
        self._grants[code] = Grant(next(self._people), query["redirect_uri"], query.get("nonce", ""))
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"

    def token(self, form: dict[str, str], authorization: str) -> dict[str, object] | None:
        expected = "Basic " + base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if not secrets.compare_digest(authorization.encode(), expected.encode()):
            return None
        grant = self._grants.pop(form.get("code", ""), None)
        if grant is None or form.get("redirect_uri") != grant.redirect_uri:
            return None
        return {
            "access_token": secrets.token_urlsafe(24),
            "token_type": "Bearer",
            "expires_in": VALID_SECONDS,
            "id_token": self._id_token(grant),
        }

    def _id_token(self, grant: Grant) -> str:
        now = int(time.time())
        claims = {
            "iss": self.issuer, "aud": CLIENT, "sub": f"acc_{grant.person:021}", "nonce": grant.nonce,
            "iat": now, "auth_time": now, "exp": now + VALID_SECONDS,
            "email": f"person.{grant.person}@acme.example", "name": f"Person {grant.person}",
            "groups": "employee,hr", "tenant": "acme", "role": "employee",
        }  # fmt: skip
        return jwt.encode({"alg": "RS256", "kid": "bench"}, claims, self.key)


class Handler(BaseHTTPRequestHandler):
    server: Provider

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/.well-known/openid-configuration":
            self._answer(200, self.server.metadata())
        elif url.path == "/jwks":
            self._answer(200, {"keys": [self.server.key.as_dict(private=False)]})
        elif url.path == "/authorize" and (target := self.server.authorize(dict(parse_qsl(url.query)))):
            self._answer(302, {}, {"Location": target})
        else:
            self._answer(400, {"error": "invalid_request"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        found = self.server.token(dict(parse_qsl(body)), self.headers.get("Authorization", ""))
        self._answer(200, found) if found else self._answer(400, {"error": "invalid_grant"})

    def _answer(self, status: int, body: dict[str, object], fields: dict[str, str] | None = None) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(fields or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Thousands sign in: nothing is logged."""


@contextlib.contextmanager
def provider() -> Iterator[Provider]:
    with Provider() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
