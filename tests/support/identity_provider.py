"""A real OpenID Connect provider: npm's oidc-provider, in a Node.js process that tests share.

    provider = IdentityProvider(folder).start()              # the fixture `identity_provider` has one for all tests
    realm = provider.realm(clients=[Client("gateway", redirect_uris=(callback,))], users=[ERIN])
    realm.issuer                                             # http://127.0.0.1:PORT/r1

A realm is one issuer with its own people, clients, keys, sessions and switches, so each test makes its own; it costs a
few milliseconds, but for the first eight: later ones use their keys again in turn. Several may be there at once: two
tenants, two providers, a mix-up. `provider.entra()` makes one that behaves as Microsoft Entra ID does, with the tenant's
id as its name; all of them share a key, as they do there, which is none of the eight.

People sign in on a page that Chromium can use (a button for each person, "Cancel", "With a second step"), or, without a
browser, `PlainBrowser`. `realm.set(signs_in=ERIN.id)` signs somebody in without a page.

Switches, all by `realm.set(…)`, of this realm only and at once:

    users, clients       replace them
    clock=600            its clock is ten minutes ahead (negative: behind)
    signs_in="erin"      whoever comes is Erin; None shows the page
    acr="…", amr=[…]     what it says of every sign-in; None leaves it out; TRUTHFUL is the default: what happened
    id_token={…}         how its ID tokens are forged, see `forgery`; None stops it. `logout_token` likewise
    callback={…}         parameters of the answer to the client: {"iss": "https://other"}, {"state": None} takes one away,
                         {"code": None, "error": "server_error"} is a refusal

`realm.fail("token", …)` breaks an endpoint, `realm.heal()` ends that; `realm.rotate_keys()`, `realm.log_out(…)` and
`realm.sign(…)` do what they say; `realm.requests("token")` is what it was asked.

All that goes over a Unix socket, in the folder that was given. Its process ends with the one that started it.
`bin/install-provider` installs what it needs, as `make test` does when the lock file has changed. The code is in
tests/support/oidc: server.mjs (process and commands), realm.mjs (what is asked of oidc-provider), entra.mjs (Entra ID's
ways), tokens.mjs, faults.mjs, pages.mjs. For another version of oidc-provider, run `npm install oidc-provider@VERSION`
there.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import itertools
import json
import re
import shutil
import socket
import ssl
import subprocess
import urllib.error
import urllib.request
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from http.cookiejar import CookieJar
from pathlib import Path
from typing import IO, Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

from tests.support.certificates import Authority
from tests.support.gateway import free_port

FOLDER = Path(__file__).parent / "oidc"
MISSING = "oidc-provider is missing: run `make test`, or bin/install-provider"
TRUTHFUL = "truthful"  # of the switches `acr` and `amr`

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class User:
    """Somebody at the provider. `id` is the `sub`; at Entra ID, where each client sees another `sub`, the `oid`.

    `email_verified` None leaves the claim out. `claims` are further ones, or replace others; at Entra ID those that an
    administrator has to switch on, like {"xms_edov": True}. `home_tenant` is that of a guest at Entra ID. More than 200
    `groups` are too many there.
    """

    id: str
    email: str = ""
    name: str = ""
    email_verified: bool | None = True
    groups: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    home_tenant: str = ""
    claims: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Client:
    """An application at the provider. `method` is how it authenticates; `jwks` or `jwks_uri` are for private_key_jwt.

    At Entra ID, private_key_jwt needs the certificate's SHA-256 (base64url) as `certificate_thumbprint`.
    """

    client_id: str
    redirect_uris: tuple[str, ...]
    secret: str = "a secret of the tests"
    method: str = "client_secret_basic"
    algorithm: str = "RS256"  # of ID tokens and logout tokens; or ES256
    jwks: Json | None = None
    jwks_uri: str = ""
    certificate_thumbprint: str = ""
    requires_par: bool = False
    requires_auth_time: bool = False
    post_logout_redirect_uris: tuple[str, ...] = ()
    backchannel_logout_uri: str = ""
    frontchannel_logout_uri: str = ""

    def metadata(self) -> Json:
        """Return it by the names of OpenID Connect's registration."""
        return {
            "client_id": self.client_id,
            "redirect_uris": self.redirect_uris,
            "token_endpoint_auth_method": self.method,
            "id_token_signed_response_alg": self.algorithm,
            "require_auth_time": self.requires_auth_time,
            "post_logout_redirect_uris": self.post_logout_redirect_uris,
            **({} if self.method == "private_key_jwt" else {"client_secret": self.secret}),
            **({"jwks": self.jwks} if self.jwks else {}),
            **({"jwks_uri": self.jwks_uri} if self.jwks_uri else {}),
            **({"require_pushed_authorization_requests": True} if self.requires_par else {}),
            **({"frontchannel_logout_uri": self.frontchannel_logout_uri} if self.frontchannel_logout_uri else {}),
            **({"certificate_thumbprint": self.certificate_thumbprint} if self.certificate_thumbprint else {}),
            **(
                {"backchannel_logout_uri": self.backchannel_logout_uri, "backchannel_logout_session_required": True}
                if self.backchannel_logout_uri
                else {}
            ),
        }


def forgery(
    claims: Json | None = None,
    *,
    header: Json | None = None,
    alg: str = "",
    key: str = "",
    secret: str = "",
    raw: str | None = None,
) -> Json:
    """Return how a token is forged: `claims` and `header` are changed (None takes one away), then it is signed again.

    `alg` may be "none", or HS256 with `secret`; `key="unknown"` signs with a key that is published nowhere. `raw`
    is sent in its place.
    """
    given = {"claims": claims, "header": header, "alg": alg, "key": key, "secret": secret}
    return {name: value for name, value in given.items() if value} | ({} if raw is None else {"raw": raw})


class IdentityProvider:
    """The process. `host` is the name in its addresses, which leads to 127.0.0.1. With an `authority` it speaks TLS."""

    def __init__(self, folder: Path, *, host: str = "127.0.0.1", authority: Authority | None = None) -> None:
        self.port = free_port()
        self.origin = f"{'https' if authority else 'http'}://{host}:{self.port}"
        self.ca_file = authority.ca_file if authority else None
        self.log = folder / "identity-provider.log"
        self.control = str(folder / "identity-provider.sock")
        self._settings = {"host": host, "port": self.port, "control": self.control}
        if authority:
            self._settings |= {"key": str(authority.key), "certificate": str(authority.certificate)}
        self._numbers = itertools.count(1)
        self._cloud = ""  # the first Entra ID tenant, whose keys the others share

    def start(self) -> IdentityProvider:
        assert (FOLDER / "node_modules" / ".ready").exists(), MISSING
        command = [node(), str(FOLDER / "server.mjs"), json.dumps(self._settings)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n", self.log.read_text()
        return self

    def stop(self) -> None:
        self.process.terminate()
        for pipe in (self.process.stdin, self.process.stdout):
            close(pipe)
        self.process.wait(120)
        Path(self.control).unlink(missing_ok=True)

    def realm(
        self, *, users: Sequence[User] = (), clients: Sequence[Client] = (), name: str = "", **settings: Any
    ) -> Realm:
        """Make a realm. `settings` are the switches, and what can't be switched later:

        par: "offered", "required" or "off"; acr_values: those that it lists; claims_in: "id_token" or "userinfo";
        via: where clients really are, by their origins: {"https://app.example.com": "http://127.0.0.1:8000"}.
        """
        return self._make(name or f"r{next(self._numbers)}", {"kind": "generic", **settings}, users, clients)

    def entra(
        self, *, users: Sequence[User] = (), clients: Sequence[Client] = (), tenant: str = "", **settings: Any
    ) -> Realm:
        """Make a tenant of Entra ID. `optional_claims` are those that its client asked for: "auth_time", "sid", "acct",
        "email", "upn", "login_hint". Tenants share their keys, unless `shares_keys_with` is "".
        """
        tid = tenant or str(uuid.uuid4())
        shared = {"shares_keys_with": self._cloud, **settings}
        self._cloud = self._cloud or tid
        return self._make(tid, {"kind": "entra", **shared}, users, clients)

    def _make(self, name: str, settings: Json, users: Sequence[User], clients: Sequence[Client]) -> Realm:
        made = self.command("PUT", f"/{name}", sent(users=users, clients=clients, **settings))
        return Realm(self, name, made["issuer"])

    def command(self, method: str, path: str, content: Json | None = None) -> Any:
        connection = UnixConnection(self.control)
        try:
            connection.request(method, path, json.dumps(content or {}))
            response = connection.getresponse()
            answer = json.loads(response.read())
        finally:
            connection.close()
        assert response.status == 200, (answer, self.log.read_text()[-3000:])
        return answer

    def context(self) -> ssl.SSLContext | None:
        """Return what a client needs to connect by TLS."""
        return ssl.create_default_context(cafile=str(self.ca_file)) if self.ca_file else None


class Realm:
    """One issuer. See the module for what its switches do."""

    def __init__(self, provider: IdentityProvider, name: str, issuer: str) -> None:
        self.provider = provider
        self.name = name
        self.issuer = issuer

    @property
    def tenant(self) -> str:
        """The `tid` of an Entra ID tenant."""
        return self.name

    def set(self, **switches: Any) -> None:
        self._command("PATCH", "", sent(**switches))

    def fail(self, endpoint: str = "*", **fault: Any) -> None:
        """Let an endpoint fail, by default all: discovery, jwks, authorization, token, userinfo, end_session,
        interaction, or pushed_authorization_request.

        close=True closes the connection. held=True answers once it is healed, seconds=2 later. status, headers and body are the answer; `size` bytes
        of white space follow the body; `drip` seconds pass before each of the body's bytes. times=1 does it once.
        """
        self._command("POST", "/fail", {"endpoint": endpoint, "fault": fault})

    def heal(self) -> None:
        self._command("PATCH", "", {"faults": {}})

    def rotate_keys(self, *, keep: bool = True) -> None:
        """Sign with new keys; the former ones stay published if they are kept."""
        self._command("POST", "/keys", {"keep": keep})

    def log_out(self, user: str) -> int:
        """End somebody's sessions at the provider, and send logout tokens (see `sent`). Returns how many ended."""
        return int(self._command("POST", "/logout", {"user": user})["result"])

    def sign(self, claims: Mapping[str, Any], **how: Any) -> str:
        """Return a JWT of these claims, signed with the realm's key as `forgery(**how)` says."""
        return str(self._command("POST", "/sign", {"claims": dict(claims), "how": forgery(**how)})["result"])

    def requests(self, endpoint: str = "") -> list[Json]:
        """Return the requests so far, each with endpoint, method, query, form and authorization."""
        found = self._command("GET", "")["result"]["requests"]
        return [request for request in found if endpoint in ("", request["endpoint"])]

    def sent(self) -> list[Json]:
        """Return the logout tokens that were sent, each with url, token and the status of the answer."""
        return list(self._command("GET", "")["result"]["sent"])

    def metadata(self) -> Json:
        """Return what its discovery document says."""
        return fetch_json(self.issuer + "/.well-known/openid-configuration", self.provider.context())

    def jwks(self) -> Json:
        return fetch_json(self.metadata()["jwks_uri"], self.provider.context())

    def remove(self) -> None:
        self._command("DELETE", "")

    def _command(self, method: str, path: str, content: Json | None = None) -> Any:
        return self.provider.command(method, f"/{self.name}{path}", content)


@dataclass(frozen=True, slots=True)
class Answer:
    """A page, or where the provider sent the browser: `url`, with status 303."""

    url: str
    status: int
    body: str

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.url).query))


class PlainBrowser:
    """Somebody at a provider's pages, without a browser: cookies are kept, redirects followed as long as they stay."""

    def __init__(self, provider: IdentityProvider) -> None:
        self._origin = provider.origin
        handlers: list[urllib.request.BaseHandler] = [NoRedirect(), urllib.request.HTTPCookieProcessor(CookieJar())]
        if context := provider.context():
            handlers.append(urllib.request.HTTPSHandler(context=context))
        self._opener = urllib.request.build_opener(*handlers)

    def open(self, url: str, form: Mapping[str, str] | None = None) -> Answer:
        """Open a page; return it, or the redirect that leads away from the provider."""
        data = urlencode(form).encode() if form is not None else None
        try:
            with self._opener.open(urllib.request.Request(url, data=data), timeout=120) as response:
                return Answer(url, response.status, response.read().decode())
        except urllib.error.HTTPError as answer:
            with answer:
                location = answer.headers.get("Location")
                if answer.code != 303 or location is None:
                    return Answer(url, answer.code, answer.read().decode())
        target = urljoin(url, location)
        return self.open(target) if target.startswith(self._origin + "/") else Answer(target, 303, "")

    def sign_in(self, url: str, user: str, *, mfa: bool = False) -> Answer:
        """Open the address of a sign-in, and choose somebody if there is a page; return where that leads."""
        page = self.open(url)
        if page.status != 200:
            return page
        return self.submit(page, user=user, **({"mfa": "1"} if mfa else {}))

    def cancel(self, url: str) -> Answer:
        return self.submit(self.open(url), cancel="1")

    def sign_out(self, url: str) -> Answer:
        return self.submit(self.open(url), logout="yes")

    def submit(self, page: Answer, **fields: str) -> Answer:
        """Send the form of a page with its hidden fields."""
        action = re.search(r'action="([^"]+)"', page.body)
        assert action is not None, (page.url, page.status, page.body)
        hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page.body)
        return self.open(urljoin(page.url, action[1]), {**dict(hidden), **fields})


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=120)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def sent(*, users: Sequence[User] | None = None, clients: Sequence[Client] | None = None, **others: Any) -> Json:
    """Return switches as they are sent."""
    return {
        **({} if users is None else {"users": [asdict(user) for user in users]}),
        **({} if clients is None else {"clients": [client.metadata() for client in clients]}),
        **others,
    }


def fetch_json(url: str, context: ssl.SSLContext | None = None) -> Json:
    with urllib.request.urlopen(url, timeout=120, context=context) as response:
        return dict(json.loads(response.read()))


def pkce() -> tuple[str, str]:
    """Return a new verifier and its S256 challenge."""
    verifier = base64.urlsafe_b64encode(uuid.uuid4().bytes * 2).rstrip(b"=").decode()
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    return verifier, challenge


def node() -> str:
    """Return Node.js: the one that was installed beside oidc-provider because the system's is too old, or that."""
    program = next(map(str, FOLDER.glob("node_modules/node-linux-*/bin/node")), None) or shutil.which("node")
    assert program is not None, MISSING
    return program


def close(pipe: IO[bytes] | None) -> None:
    if pipe is not None:
        pipe.close()
