"""Requests to a provider: bounded in time and size, and only to addresses that may be asked.

A tenant's administrators choose the provider, and the provider chooses its answers, so neither is trusted. The name of
a host is resolved once; the addresses are judged (`addresses.may_be_asked`), and the connection goes to one of these
addresses. Resolving again, a server of names could say something else (DNS rebinding). TLS still checks the name.
Redirects are not followed, cookies not kept, and proxies of the environment not used.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from aiohttp.abc import AbstractResolver, ResolveResult

from gateway.sso.oidc.addresses import Target, may_be_asked, parse, read_url
from gateway.sso.oidc.encoding import read_object
from gateway.sso.oidc.libraries import ensure_loaded
from gateway.sso.oidc.record import Refusal, Refused, Rejected
from gateway.store.patience import Patience

if TYPE_CHECKING:
    from aiohttp.client_reqrep import ClientResponse

SECONDS = 5.0
MAX_BYTES = 262_144
MAX_ADDRESSES = 8
THREADS = 16
HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "otium-gateway"}

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the IP addresses of a host. Raises OSError."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer: a JSON object. `status` is 200 or 201, or 400 to 499 if a form was refused (RFC 6749 §5.2)."""

    status: int
    body: bytes = field(repr=False)
    content: Mapping[str, object] = field(repr=False)


class Fetcher:
    """`allows_private` permits providers in private networks, and http for those on this machine.

    `trust` replaces the certificate authorities of the system, and `resolve` its resolver.
    """

    def __init__(
        self,
        *,
        allows_private: bool = False,
        seconds: float = SECONDS,
        trust: ssl.SSLContext | None = None,
        resolve: Resolve | None = None,
    ) -> None:
        self._allows_private = allows_private
        self._seconds = seconds
        self._trust = trust
        self._names = Names()
        self._resolve = resolve or self._names.resolve

    async def get(self, url: str, origins: Collection[str]) -> Fetched | Refused:
        """Get a JSON object from a URL. `origins` are those of the provider, as in `Metadata.origins`."""
        return await self._fetch("GET", url, origins)

    async def post(
        self, url: str, origins: Collection[str], form: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> Fetched | Refused:
        """Post a form, and return the JSON object that comes back."""
        return await self._fetch("POST", url, origins, form, headers or {})

    def close(self) -> None:
        self._names.close()

    async def _fetch(
        self,
        method: str,
        url: str,
        origins: Collection[str],
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Fetched | Refused:
        target = read_url(url, allows_http=self._allows_private)
        if target is None:
            return Refused(Refusal.URL)
        if target.origin not in origins:
            return Refused(Refusal.ORIGIN, target.origin)
        try:
            async with Patience(self._seconds):
                await ensure_loaded()
                addresses = await self._find_addresses(target)
                return await self._request(method, target, addresses, form, headers or {})
        except Rejected as rejected:
            return rejected.refused
        except TimeoutError:
            return Refused(Refusal.TIMED_OUT, target.host)

    async def _find_addresses(self, target: Target) -> list[str]:
        literal = parse(target.host)
        try:
            found = [str(literal)] if literal is not None else await self._resolve(target.host, target.port)
        except (OSError, UnicodeError):  # UnicodeError: a label of the name is too long
            raise Rejected(Refusal.NAME_UNKNOWN, target.host) from None
        addresses = [address for each in found[:MAX_ADDRESSES] if (address := parse(each)) is not None]
        if not addresses:
            raise Rejected(Refusal.NAME_UNKNOWN, target.host)
        permitted = [each for each in addresses if may_be_asked(each, allows_private=self._allows_private)]
        if not permitted:
            raise Rejected(Refusal.PRIVATE_ADDRESS, target.host)
        return [str(address) for address in permitted]

    async def _request(
        self,
        method: str,
        target: Target,
        addresses: Sequence[str],
        form: Mapping[str, str] | None,
        headers: Mapping[str, str],
    ) -> Fetched:
        # Imported when used: see libraries.load.
        from aiohttp.client import ClientSession, ClientTimeout
        from aiohttp.client_exceptions import ClientConnectorError, ClientError, ClientSSLError
        from aiohttp.connector import TCPConnector
        from aiohttp.cookiejar import DummyCookieJar

        connector = TCPConnector(
            resolver=Pinned(target.host, addresses),
            use_dns_cache=False,
            force_close=True,
            ssl=True if self._trust is None else self._trust,
        )
        session = ClientSession(
            connector=connector,
            cookie_jar=DummyCookieJar(),
            timeout=ClientTimeout(),  # `_fetch` has one for everything
            trust_env=False,
            auto_decompress=False,
            headers=HEADERS,
        )
        sent = None if form is None else urlencode(form).encode("ascii")
        kind = {} if form is None else {"Content-Type": "application/x-www-form-urlencoded"}
        try:
            async with (
                session,
                session.request(
                    method, target.url, data=sent, headers={**kind, **headers}, allow_redirects=False
                ) as response,
            ):
                return await read_response(response, is_form=form is not None)
        except ClientSSLError as error:
            raise Rejected(Refusal.CERTIFICATE, target.host) from error
        except ClientConnectorError as error:
            raise Rejected(Refusal.UNREACHABLE, target.host) from error
        except TimeoutError:
            raise
        except (ClientError, OSError, ValueError) as error:
            raise Rejected(Refusal.NOT_HTTP, target.host) from error


async def read_response(response: ClientResponse, *, is_form: bool) -> Fetched:
    """Read a response whose head has come. Raises Rejected."""
    check_head(response, is_form=is_form)
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > MAX_BYTES:
            raise Rejected(Refusal.TOO_LARGE)
    return Fetched(response.status, bytes(body), read_object(bytes(body), Refusal.NOT_JSON))


def check_head(response: ClientResponse, *, is_form: bool) -> None:
    status, kind = response.status, response.content_type
    if 300 <= status < 400:
        raise Rejected(Refusal.REDIRECT, str(status))
    if status not in (200, 201) and not (is_form and 400 <= status < 500):
        raise Rejected(Refusal.STATUS, str(status))
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        # A refusal that is no JSON is better told by its status.
        raise Rejected(Refusal.CONTENT_TYPE if status < 300 else Refusal.STATUS, kind if status < 300 else str(status))
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise Rejected(Refusal.CONTENT_TYPE, response.headers["Content-Encoding"])
    if (response.content_length or 0) > MAX_BYTES:
        raise Rejected(Refusal.TOO_LARGE)


class Pinned(AbstractResolver):
    """Knows the addresses of one host, which were found and judged before, and no others."""

    def __init__(self, host: str, addresses: Sequence[str]) -> None:
        self._host = host
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        if host != self._host:
            raise OSError(f"{host} was not resolved")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        pass


class Names:
    """The system's resolver, in threads of its own.

    Lookups can't be cancelled, and a tenant's name may take half a minute. In the threads that the event loop has for
    all names, some of them would keep the database and the mail server from being found.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="provider-names")
        self._running: dict[str, asyncio.Future[list[str]]] = {}

    async def resolve(self, host: str, port: int) -> list[str]:
        """Resolve a name. Who needs the same one meanwhile shares the thread, which may be stuck for half a minute."""
        running = self._running.get(host)
        if running is None:
            running = asyncio.get_running_loop().run_in_executor(self._threads, look_up, host, port)
            self._running[host] = running
            running.add_done_callback(partial(self._end, host))
        return list(dict.fromkeys(await asyncio.shield(running)))

    def _end(self, host: str, done: asyncio.Future[list[str]]) -> None:
        del self._running[host]
        if not done.cancelled():
            done.exception()  # nobody may be waiting for it any more

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def look_up(host: str, port: int) -> list[str]:
    return [str(address[0]) for *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
