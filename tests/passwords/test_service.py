"""Everything that may refuse a password, in its order; and a range API that answers in every way there is."""

from __future__ import annotations

import asyncio
import contextlib
import unicodedata
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.breaches.lists import NoBreachList, digest_of
from gateway.breaches.range_api import MAX_RANGE_BYTES, BreachAPI
from gateway.model.secret import Secret
from gateway.passwords.policy import Person, Refusal, judge
from gateway.passwords.service import Judgement, PasswordChecker, checker_of
from gateway.settings.record import Passwords

ERIN = Person("erin@acme.example", "Erin Zoë", "acme", "OtiumWork")
GOOD = Secret("quiet-lantern-29-orchard")
DIGEST = digest_of(GOOD.reveal())
OTHERS = "".join(f"{n:035X}:{n % 7 + 1}\r\n" for n in range(1, 900))

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class RangeServer:
    """A stand-in for the range API; it answers everything with `answer`."""

    answer: Answer
    port: int = 0
    asked: list[tuple[str, str]] = field(default_factory=list)
    is_over: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.path, request.headers.get("Add-Padding", "")))
        return await self.answer(request)

    @property
    def api(self) -> BreachAPI:
        return BreachAPI(f"http://127.0.0.1:{self.port}/range/")


Serve = Callable[[Answer], Awaitable[RangeServer]]


@pytest.fixture
async def serve(aiohttp_server: Callable[[web.Application], Awaitable[TestServer]]) -> AsyncIterator[Serve]:
    """Start range servers that answer as they are told; answers that hang end with the test."""
    servers: list[RangeServer] = []

    async def start(answer: Answer) -> RangeServer:
        server = RangeServer(answer)
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", server.handle)
        server.port = (await aiohttp_server(app)).port or 0
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.is_over.set()


def text(body: str | bytes, status: int = 200, **headers: str) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, status=status, headers=headers)

    return answer


def with_count(count: str) -> str:
    return OTHERS[:20_000].rpartition("\n")[0] + f"\n{DIGEST[5:]}:{count}\r\n{'F' * 35}:0\r\n{'E' * 35}:0"


async def test_the_api_learns_five_digits_and_is_asked_for_padding(serve: Serve) -> None:
    server = await serve(text(with_count("12")))
    assert await server.api.holds(DIGEST) is True
    assert server.asked == [(f"/range/{DIGEST[:5]}", "true")]


@pytest.mark.parametrize(("count", "is_breached"), [("1", True), ("10", True), ("0", False)])
async def test_padding_with_a_count_of_0_is_no_breach(count: str, is_breached: bool, serve: Serve) -> None:
    server = await serve(text(with_count(count)))
    assert await server.api.holds(DIGEST) is is_breached


async def test_a_password_that_is_in_no_range_is_good(serve: Serve) -> None:
    server = await serve(text(OTHERS))
    assert await server.api.holds(DIGEST) is False


async def test_an_answer_in_pieces_is_read_to_its_end(serve: Serve) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for line in with_count("3").splitlines(keepends=True):
            await response.write(line.encode())
            await asyncio.sleep(0)
        return response

    server = await serve(answer)
    assert await server.api.holds(DIGEST) is True


async def test_a_compressed_answer_is_read(serve: Serve) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.Response(text=with_count("3"))
        response.enable_compression(web.ContentCoding.gzip)
        return response

    server = await serve(answer)
    assert await server.api.holds(DIGEST) is True


NO_ANSWERS = [
    text(with_count("3"), status=500),
    text(with_count("3"), status=429),
    text(b"", status=204),
    text(b""),
    text(b"<html><title>Sign in to the hotel's network</title></html>"),
    text(b"\xff\xfe\x00" * 100),
    text(OTHERS + "and so on\r\n"),
    text(OTHERS * (MAX_RANGE_BYTES // len(OTHERS) + 1) + with_count("3")),
    text(b"not gzip", **{"Content-Encoding": "gzip"}),
]


@pytest.mark.parametrize("answer", NO_ANSWERS)
async def test_an_answer_that_is_no_range_is_no_answer(answer: Answer, serve: Serve) -> None:
    server = await serve(answer)
    assert await server.api.holds(DIGEST) is None


async def test_a_redirect_is_not_followed(serve: Serve) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path.startswith("/elsewhere"):
            return web.Response(text=with_count("3"))
        return web.Response(status=302, headers={"Location": "/elsewhere"})

    server = await serve(answer)
    assert await server.api.holds(DIGEST) is None
    assert len(server.asked) == 1


@pytest.mark.parametrize("begins", [False, True])
async def test_an_api_that_takes_too_long_has_not_answered(begins: bool, serve: Serve) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        if begins:
            await response.prepare(request)
            await response.write(OTHERS.encode())
        await server.is_over.wait()
        return response

    server = await serve(answer)
    api = BreachAPI(f"http://127.0.0.1:{server.port}", seconds=0.2)
    assert await api.holds(DIGEST) is None
    assert len(server.asked) == 1


async def test_an_api_that_is_not_there_has_not_answered(unused_tcp_port: int) -> None:
    assert await BreachAPI(f"http://127.0.0.1:{unused_tcp_port}/range/").holds(DIGEST) is None


@contextlib.contextmanager
def checking(breach_list: Path | str = "", breach_api: str = "") -> Iterator[PasswordChecker]:
    checker = checker_of(Passwords(breach_list=str(breach_list), breach_api=breach_api))
    try:
        yield checker
    finally:
        checker.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A list in which the good password stands."""
    (tmp_path / DIGEST[:5]).write_text(f"{DIGEST[5:]}:3\n")
    return tmp_path


async def test_the_rules_come_first_and_nobody_is_asked_about_what_they_refuse(folder: Path, serve: Serve) -> None:
    server = await serve(text(OTHERS))
    with checking(folder, f"http://127.0.0.1:{server.port}") as checker:
        assert await checker.check(Secret("short"), ERIN) == Judgement(Refusal.SHORT)
        assert await checker.check(GOOD, ERIN) == Judgement(Refusal.BREACHED)
    assert server.asked == []


async def test_the_hint_and_the_check_have_one_set_of_rules(folder: Path) -> None:
    """What is typed is judged by `check_here`; what is sent by `check`, which asks it first."""
    passwords = [
        "",
        "short",
        "aaaaaaaaaaaaaa",
        "erin@acme.example",
        "P@ssw0rd1234",
        "x" * 5_000,
        GOOD.reveal(),
        "a\0" * 9,
    ]
    with checking(folder) as checker:
        for password in (*passwords, "copper-meadow-71-violin"):
            hint = await checker.check_here(Secret(password), ERIN)
            assert await checker.check(Secret(password), ERIN) == Judgement(hint)
            assert hint is (Refusal.BREACHED if password == GOOD.reveal() else judge(password, ERIN))


async def test_the_hint_tells_nobody_outside(serve: Serve) -> None:
    server = await serve(text(with_count("3")))
    with checking(breach_api=f"http://127.0.0.1:{server.port}") as checker:
        assert await checker.check_here(GOOD, ERIN) is None
        assert server.asked == []
        assert await checker.check(GOOD, ERIN) == Judgement(Refusal.BREACHED)


async def test_an_api_that_does_not_answer_stops_nobody_and_is_told(serve: Serve) -> None:
    server = await serve(text(b"", status=503))
    with checking(breach_api=f"http://127.0.0.1:{server.port}") as checker:
        assert await checker.check(GOOD, ERIN) == Judgement(None, is_api_silent=True)


async def test_lists_are_asked_about_the_composed_form(tmp_path: Path) -> None:
    digest = digest_of("kürbiskernöl und salz")
    (tmp_path / digest[:5]).write_text(f"{digest[5:]}:1\n")
    with checking(tmp_path) as checker:
        decomposed = unicodedata.normalize("NFD", "kürbiskernöl und salz")
        assert await checker.check(Secret(decomposed), ERIN) == Judgement(Refusal.BREACHED)


async def test_a_list_that_can_not_be_read_is_logged_and_stops_nobody(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text(f"{DIGEST}:3\n")
    with checking(path) as checker:
        assert await checker.check(GOOD, ERIN) == Judgement(Refusal.BREACHED)
        path.unlink()
        with structlog.testing.capture_logs() as logged:
            assert await checker.check(GOOD, ERIN) == Judgement(None)
    assert [entry["event"] for entry in logged] == ["breach_list_unreadable"]


async def test_many_at_once_are_judged_one_after_another(folder: Path) -> None:
    with checking(folder) as checker:
        verdicts = await asyncio.gather(*(checker.check(GOOD, ERIN) for _ in range(50)))
    assert set(verdicts) == {Judgement(Refusal.BREACHED)}


def test_a_list_that_went_missing_since_the_settings_were_read_is_an_error(folder: Path) -> None:
    settings = Passwords(breach_list=str(folder))
    (folder / DIGEST[:5]).unlink()
    with pytest.raises(NoBreachList):
        checker_of(settings)
