from __future__ import annotations

import asyncio
import gzip
import random
import ssl
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence

import pytest

from gateway.sso.oidc.fetching import MAX_BYTES, Fetched, Fetcher
from gateway.sso.oidc.record import Refusal, Refused
from tests.sso.server import JSON, Server, response
from tests.support.certificates import Authority, make_authority
from tests.support.gateway import free_port

LINKED_LOCALLY = "169.254.169.254"


class Resolver:
    """Answers with each of `rounds` in turn; the last one for ever."""

    def __init__(self, *rounds: Sequence[str]) -> None:
        self._rounds = list(rounds)
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append((host, port))
        return self._rounds.pop(0) if len(self._rounds) > 1 else self._rounds[0]


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with Server().listening() as server:
        yield server


@pytest.fixture
async def fetcher() -> AsyncIterator[Fetcher]:
    fetcher = Fetcher(allows_private=True, seconds=120)  # only for what hangs
    yield fetcher
    fetcher.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


async def get(fetcher: Fetcher, server: Server) -> Fetched | Refused:
    return await fetcher.get(server.url, {server.origin})


async def reason_of(fetcher: Fetcher, server: Server) -> Refusal:
    got = await get(fetcher, server)
    assert isinstance(got, Refused)
    assert got.detail.isprintable()
    return got.reason


async def test_a_document_is_read(fetcher: Fetcher, server: Server) -> None:
    server.answer = response(b'{"a": [1, "b"]}')
    assert await get(fetcher, server) == Fetched(200, b'{"a": [1, "b"]}', {"a": [1, "b"]})
    lines = server.head.split(b"\r\n")
    assert lines[0] == b"get /document http/1.1"
    assert {b"host: localhost:%d" % server.port, b"accept: application/json", b"accept-encoding: identity"} < {*lines}
    assert not any(line.startswith((b"cookie", b"authorization", b"referer")) for line in lines)


@pytest.mark.parametrize("kind", [b"application/json; charset=utf-8", b"application/jwk-set+json", b"Application/JSON"])
async def test_every_kind_of_json_is_read(fetcher: Fetcher, server: Server, kind: bytes) -> None:
    server.answer = response(b"{}", b"Content-Type: " + kind + b"\r\n")
    assert isinstance(await get(fetcher, server), Fetched)


async def test_a_query_is_sent_as_it_is_written(fetcher: Fetcher, server: Server) -> None:
    await fetcher.get(f"{server.origin}/a%2Fb/c?p=B2C_1&x=%26+y", [server.origin])
    assert server.requests[0].startswith(b"GET /a%2Fb/c?p=B2C_1&x=%26+y HTTP/1.1\r\n")


async def test_a_form_is_posted_with_the_clients_secret(fetcher: Fetcher, server: Server) -> None:
    basic = "Basic " + b64encode(b"id:secret").decode()
    got = await fetcher.post(server.url, [server.origin], {"code": "a b&c", "é": "="}, {"Authorization": basic})
    assert isinstance(got, Fetched)
    assert server.requests[0].endswith(b"\r\n\r\ncode=a+b%26c&%C3%A9=%3D")
    assert b"\r\ncontent-type: application/x-www-form-urlencoded" in server.head
    assert f"\r\nauthorization: {basic}".lower().encode() in server.head


@pytest.mark.parametrize("status", [b"400 Bad Request", b"401 Unauthorized"])
async def test_why_a_form_was_refused_is_read(fetcher: Fetcher, server: Server, status: bytes) -> None:
    server.answer = response(b'{"error": "invalid_grant"}', status=status)
    got = await fetcher.post(server.url, [server.origin], {"code": "x"})
    assert isinstance(got, Fetched)
    assert (got.status, got.content["error"]) == (int(status[:3]), "invalid_grant")
    assert await get(fetcher, server) == Refused(Refusal.STATUS, status[:3].decode())


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        (response(b"{}", status=b"404 Not Found"), Refused(Refusal.STATUS, "404")),
        (response(b"{}", status=b"500 Oh"), Refused(Refusal.STATUS, "500")),
        (response(b"{}", status=b"503 Later"), Refused(Refusal.STATUS, "503")),
        (response(b"", status=b"204 Nothing"), Refused(Refusal.STATUS, "204")),
        (response(b"{}", status=b"206 Part"), Refused(Refusal.STATUS, "206")),
        (response(b"<html>", b"Content-Type: text/html\r\n"), Refused(Refusal.CONTENT_TYPE, "text/html")),
        (response(b"{}", b"Content-Type: text/json\r\n"), Refused(Refusal.CONTENT_TYPE, "text/json")),
        (response(b"{}", b""), Refused(Refusal.CONTENT_TYPE, "application/octet-stream")),
        (response(gzip.compress(b"{}"), JSON + b"Content-Encoding: gzip\r\n"), Refused(Refusal.CONTENT_TYPE, "gzip")),
        (response(b""), Refused(Refusal.NOT_JSON)),
        (response(b'{"a": '), Refused(Refusal.NOT_JSON)),
        (response(b"[]"), Refused(Refusal.NOT_JSON)),
        (response(b"[" * 100_000), Refused(Refusal.NOT_JSON)),
        (response(b'{"a": 1, "a": 2}'), Refused(Refusal.DUPLICATE)),
        (b"", Refused(Refusal.NOT_HTTP, "localhost")),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Refused(Refusal.NOT_HTTP, "localhost")),
        (b"HTTP/1.1 200 OK\r\n" + JSON + b"Content-Length: 9\r\n\r\n{}", Refused(Refusal.NOT_HTTP, "localhost")),
        (b"HTTP/1.1 200 OK\r\n" + JSON + b"Content-Length: x\r\n\r\n{}", Refused(Refusal.NOT_HTTP, "localhost")),
        (
            b"HTTP/1.1 200 OK\r\n" + JSON + b"Transfer-Encoding: chunked\r\n\r\nx",
            Refused(Refusal.NOT_HTTP, "localhost"),
        ),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n", Refused(Refusal.NOT_HTTP, "localhost")),
    ],
)
async def test_an_unfit_answer_is_refused_with_a_reason(
    fetcher: Fetcher, server: Server, answer: bytes, refused: Refused
) -> None:
    server.answer = answer
    assert await get(fetcher, server) == refused


async def test_a_refused_form_that_is_no_json_is_told_by_its_status(fetcher: Fetcher, server: Server) -> None:
    server.answer = response(b"<html>", b"Content-Type: text/html\r\n", b"403 Forbidden")
    assert await fetcher.post(server.url, [server.origin], {}) == Refused(Refusal.STATUS, "403")


async def test_no_answer_breaks_the_fetcher(fetcher: Fetcher, server: Server) -> None:
    source = random.Random(59)
    whole = b"HTTP/1.1 200 OK\r\n" + JSON + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    server.answer = whole
    assert isinstance(await get(fetcher, server), Fetched)
    for _ in range(150):
        broken = bytearray(whole)
        for _ in range(source.randint(1, 6)):
            broken[source.randrange(len(broken))] = source.randrange(256)
        server.answer = bytes(broken[: source.randint(1, len(broken))])
        assert isinstance(await get(fetcher, server), Fetched | Refused)
    assert server.connections > 150  # the library asks again if the server hangs up


async def test_a_form_is_sent_once_even_if_the_server_hangs_up(fetcher: Fetcher, server: Server) -> None:
    server.answer = b""  # a code must not be used twice
    assert await fetcher.post(server.url, [server.origin], {"code": "x"}) == Refused(Refusal.NOT_HTTP, "localhost")
    assert server.connections == 1


# Time and size.


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n" + JSON + b"\r\n{"])
async def test_a_slow_answer_ends_in_time(server: Server, begun: bytes) -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        await server.send(writer, begun)
        while True:  # each byte comes in time, and all of them never do
            await asyncio.sleep(0.02)
            await server.send(writer, b" " if b"{" in begun else b"X: y\r\n" if begun else b"")

    server.answer = drip
    async with asyncio.timeout(120):
        assert await get(Fetcher(allows_private=True, seconds=0.3), server) == Refused(Refusal.TIMED_OUT, "localhost")


async def test_an_answer_that_came_while_the_process_had_no_processor_is_in_time(server: Server) -> None:
    async def answer(writer: asyncio.StreamWriter) -> None:
        await server.send(writer, response(b"{}"))
        time.sleep(1.5)  # as if the machine had given the core to others

    server.answer = answer
    assert isinstance(await get(Fetcher(allows_private=True, seconds=1), server), Fetched)


async def test_a_name_that_is_never_resolved_ends_in_time() -> None:
    async def never(host: str, port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    fetcher = Fetcher(seconds=0.1, resolve=never)
    got = await fetcher.get("https://id.example.com/", {"https://id.example.com:443"})
    assert got == Refused(Refusal.TIMED_OUT, "id.example.com")


@pytest.mark.parametrize("head", [JSON, JSON + b"Transfer-Encoding: chunked\r\n"])
async def test_of_a_gigabyte_only_the_beginning_is_read(fetcher: Fetcher, server: Server, head: bytes) -> None:
    piece = b" " * 65_536
    chunk = b"10000\r\n" + piece + b"\r\n" if b"chunked" in head else piece

    async def flood(writer: asyncio.StreamWriter) -> None:
        await server.send(writer, b"HTTP/1.1 200 OK\r\n" + head + b"\r\n")
        for _ in range(16_384):
            await server.send(writer, chunk)

    server.answer = flood
    assert await reason_of(fetcher, server) == Refusal.TOO_LARGE
    assert server.sent < 16_000_000  # the buffers of both sockets


async def test_a_gigabyte_that_is_announced_is_not_read(fetcher: Fetcher, server: Server) -> None:
    server.answer = b"HTTP/1.1 200 OK\r\n" + JSON + b"Content-Length: 1073741824\r\n\r\n"
    assert await reason_of(fetcher, server) == Refusal.TOO_LARGE


async def test_the_longest_answer_is_read_and_one_that_is_longer_is_not(fetcher: Fetcher, server: Server) -> None:
    server.answer = response(b"{}".ljust(MAX_BYTES))
    assert isinstance(await get(fetcher, server), Fetched)
    server.answer = response(b"{}".ljust(MAX_BYTES + 1))
    assert await reason_of(fetcher, server) == Refusal.TOO_LARGE


async def test_whoever_cancels_is_obeyed(fetcher: Fetcher, server: Server) -> None:
    asked = asyncio.Event()

    async def hang(writer: asyncio.StreamWriter) -> None:
        asked.set()
        await asyncio.Event().wait()

    server.answer = hang
    task = asyncio.create_task(get(fetcher, server))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# Only where it may ask.


@pytest.mark.parametrize("status", [b"301 x", b"302 x", b"303 x", b"307 x", b"308 x"])
async def test_a_redirect_to_another_server_on_loopback_is_not_followed(
    fetcher: Fetcher, server: Server, status: bytes
) -> None:
    async with Server().listening() as secret:
        server.answer = response(b"{}", JSON + f"Location: {secret.url}\r\n".encode(), status)
        assert await get(fetcher, server) == Refused(Refusal.REDIRECT, status[:3].decode())
        assert await fetcher.post(server.url, [server.origin], {}) == Refused(Refusal.REDIRECT, status[:3].decode())
        assert secret.connections == 0


async def test_only_origins_of_the_provider_are_asked(fetcher: Fetcher, server: Server) -> None:
    other = f"http://127.0.0.1:{server.port}"
    assert await fetcher.get(f"{other}/x", [server.origin]) == Refused(Refusal.ORIGIN, other)
    assert await fetcher.get(f"{server.origin}/x", []) == Refused(Refusal.ORIGIN, server.origin)
    assert server.connections == 0


@pytest.mark.parametrize(
    "url", ["http://id.example.com/", "https://u@localhost/", "file:///etc/passwd", "", "https://"]
)
async def test_what_is_no_https_url_is_not_asked(fetcher: Fetcher, url: str) -> None:
    assert await fetcher.get(url, [url.rstrip("/")]) == Refused(Refusal.URL)


@pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.1", "[::1]", "[::ffff:127.0.0.1]", LINKED_LOCALLY])
async def test_a_private_address_is_not_asked(server: Server, host: str) -> None:
    origin = f"https://{host}:{server.port}"
    got = await Fetcher().get(f"{origin}/x", [origin])
    assert got == Refused(Refusal.PRIVATE_ADDRESS, host.strip("[]"))
    assert server.connections == 0


async def test_a_name_with_a_private_address_is_not_asked(server: Server) -> None:
    origin = f"https://localhost:{server.port}"
    fetcher = Fetcher()
    assert await fetcher.get(f"{origin}/x", [origin]) == Refused(Refusal.PRIVATE_ADDRESS, "localhost")
    fetcher.close()
    assert server.connections == 0


@pytest.mark.parametrize("found", [["169.254.169.254"], ["fd00:ec2::254"], ["::ffff:169.254.169.254", "0.0.0.0"]])
async def test_the_metadata_of_clouds_is_not_asked_even_where_private_addresses_are(found: list[str]) -> None:
    fetcher = Fetcher(allows_private=True, resolve=Resolver(found))
    got = await fetcher.get("https://id.example.com/", ["https://id.example.com:443"])
    assert got == Refused(Refusal.PRIVATE_ADDRESS, "id.example.com")


async def test_a_name_that_resolves_to_something_else_the_second_time_gains_nothing() -> None:
    port = free_port()  # at both addresses
    async with Server().listening(port=port) as server, Server().listening("127.0.0.2", port) as secret:
        resolver = Resolver(["127.0.0.1"], ["127.0.0.2"])
        fetcher = Fetcher(allows_private=True, resolve=resolver)
        assert isinstance(await get(fetcher, server), Fetched)
        assert resolver.asked == [("localhost", server.port)]
        assert (server.connections, secret.connections) == (1, 0)


async def test_the_connection_goes_to_the_address_that_was_judged() -> None:
    async with Server().listening("127.0.0.2") as server:  # the system knows another address of localhost
        fetcher = Fetcher(allows_private=True, resolve=Resolver([LINKED_LOCALLY, "127.0.0.2"]))
        assert isinstance(await get(fetcher, server), Fetched)
        assert server.connections == 1


async def test_a_name_without_an_address_is_unknown() -> None:
    name = 64 * "a" + ".example"  # no label is as long, so no server of names is asked
    fetcher = Fetcher()
    assert await fetcher.get(f"https://{name}/", [f"https://{name}:443"]) == Refused(Refusal.NAME_UNKNOWN, name)
    fetcher.close()
    for found in ([], ["nonsense"]):
        fetcher = Fetcher(resolve=Resolver(found))
        got = await fetcher.get("https://id.example.com/", ["https://id.example.com:443"])
        assert got == Refused(Refusal.NAME_UNKNOWN, "id.example.com")


async def test_a_server_that_is_down_is_unreachable(fetcher: Fetcher) -> None:
    async with Server().listening(port=free_port()) as server:
        pass
    assert await get(fetcher, server) == Refused(Refusal.UNREACHABLE, "localhost")


async def test_proxies_of_the_environment_are_not_used(
    fetcher: Fetcher, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Server().listening() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.origin)
        assert isinstance(await get(fetcher, server), Fetched)
        assert proxy.connections == 0


async def test_cookies_are_not_kept(fetcher: Fetcher, server: Server) -> None:
    server.answer = response(b"{}", JSON + b"Set-Cookie: a=b; Path=/\r\n")
    assert isinstance(await get(fetcher, server), Fetched)
    assert isinstance(await get(fetcher, server), Fetched)
    assert len(server.requests) == 2
    assert b"cookie" not in server.requests[1].lower()


# TLS.


async def test_a_trusted_certificate_is_accepted_and_others_are_not(authority: Authority) -> None:
    trust = ssl.create_default_context(cafile=str(authority.ca_file))
    async with Server().listening(context=authority.server_context()) as server:
        assert isinstance(await get(Fetcher(allows_private=True, trust=trust), server), Fetched)
        refused = Refused(Refusal.CERTIFICATE, "localhost")
        assert await get(Fetcher(allows_private=True), server) == refused  # the system does not know the authority
        assert len(server.requests) == 1


async def test_the_certificate_has_to_be_of_the_name_whatever_the_address(authority: Authority) -> None:
    trust = ssl.create_default_context(cafile=str(authority.ca_file))
    async with Server().listening(context=authority.server_context()) as server:
        fetcher = Fetcher(allows_private=True, trust=trust, resolve=Resolver(["127.0.0.1"]))
        origin = f"https://id.example.com:{server.port}"
        assert await fetcher.get(f"{origin}/x", [origin]) == Refused(Refusal.CERTIFICATE, "id.example.com")
        assert server.requests == []


async def test_a_server_without_tls_is_refused(server: Server) -> None:
    origin = f"https://localhost:{server.port}"
    got = await Fetcher(allows_private=True, seconds=0.3).get(f"{origin}/x", [origin])
    assert isinstance(got, Refused)
    assert got.reason in (Refusal.CERTIFICATE, Refusal.UNREACHABLE, Refusal.TIMED_OUT)
    assert server.requests == []


def test_what_only_single_sign_on_needs_is_not_imported_before_it_is_used() -> None:
    code = """
        import importlib, pathlib, sys
        from gateway.process.lean import import_lean
        import_lean()
        for path in pathlib.Path("gateway/sso").glob("*.py"):
            importlib.import_module(f"gateway.sso.{path.stem}")
        print(sorted({"aiohttp.client", "joserfc"} & sys.modules.keys()))
    """
    lines = [line.strip() if "import_module" not in line else "    " + line.strip() for line in code.splitlines()]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
