"""What is seen of the data path, in the form that GATEWAY_COMPILED names: `python -m tests.compiled.probes`.

It reads lists of questions, each the name of a probe and its arguments, and writes for each what came of it: the result
as text, or the error.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import re
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from structlog.testing import capture_logs

from gateway.crypto.keys import assertion_key
from gateway.edge.answer import find_failure, is_head_request, whole_answer
from gateway.edge.client_request import ClientRequest
from gateway.edge.connection import ClientConnection, Edge
from gateway.edge.field_lines import FieldRules
from gateway.edge.incoming import IncomingBody
from gateway.edge.origin import TrustedProxies, canonical_hosts, is_from_elsewhere, is_own_post, page_origin
from gateway.edge.reach import ReachReader, names_anything
from gateway.edge.request import Reader
from gateway.edge.request_line import read_request_line
from gateway.edge.shared import Patience, Shared
from gateway.model.account import Role
from gateway.model.api_token import PERSON, Grant
from gateway.model.factor import Factor, Proof
from gateway.model.inbound import Inbound, Resource
from gateway.model.memo import Memo
from gateway.model.network_rule import rule_of
from gateway.model.secret import Secret
from gateway.model.session import Session
from gateway.observe.access_log import AccessLog
from gateway.observe.served import Unread
from gateway.policy.decision import Need, Rules, decide, takes_foreign_form
from gateway.policy.entries import OpenPath, Rule
from gateway.policy.paths import walk_up
from gateway.process.compiled import MODULES
from gateway.proxy.assertion import Assertions
from gateway.proxy.connection import Patience as UpstreamPatience
from gateway.proxy.connection import UpstreamConnection
from gateway.proxy.exchange import Exchange
from gateway.proxy.identity import Identities
from gateway.proxy.request import RequestWriter
from gateway.proxy.response import AnswerReader
from gateway.settings.record import IDENTITY_NAMES
from gateway.throttle.shares import Shares
from gateway.wire.authority import read_authority
from gateway.wire.cookies import likely_name, split_cookies
from gateway.wire.deadlines import Deadlines
from gateway.wire.http1 import ChunkedBody, LengthBody, chunk, leave_out, read_length, split_field, tokens
from gateway.wire.llhttp import accepts_request, accepts_response
from gateway.wire.target import is_safe_query, read_path
from gateway.wire.websocket import close_frame, is_heartbeat
from tests import FORM

Question = tuple[str, tuple[Any, ...]]
ADDRESS = re.compile(r" at 0x[0-9a-f]+")
NOW = 1_800_000_000
PEER, PROXY = "203.0.113.7", "10.1.1.1"
HOSTS = canonical_hosts(["app.example.com", "other.example.com:8443"])
ORIGINS = frozenset(("https://app.example.com",))
FIELD_RULES = FieldRules(HOSTS, ["X-Identity", "X-Company-*"], "__Host-own", "__Host-attempt")
REACH = ReachReader(HOSTS, "https")
PROXIES = TrustedProxies(["10.0.0.0/8", "2001:db8::/32", "unix"])
ASSERTIONS = Assertions(assertion_key(Secret(b"only for tests" * 4)), "https://app.example.com", "otiumwork")


def new_reader() -> Reader:
    reader = Reader(
        scheme="https", authorities=["app.example.com", "other.example.com:8443"], proxies=PROXIES,
        session_cookie="__Host-own", attempt_cookie="__Host-attempt", identity_names=["X-Identity", "X-Company-*"],
        max_fields=20, max_target_bytes=200, question_path="/_gateway/auth", carriers=["/login"],
        is_in_memory=lambda key: key[0] < 128,
    )  # fmt: skip
    reader._id_prefix = "0" * 12
    return reader


def plain_session(**changes: Any) -> Session:
    told: dict[str, Any] = {
        "id": "ses_1", "account": "acc_1", "identifier": "x@acme.example", "name": "X", "tenant": "acme",
        "role": Role.EMPLOYEE, "modules": frozenset(), "is_owner": False, "proofs": (Proof(Factor.PASSWORD, NOW),),
        "started_at": NOW, "seen_at": NOW,
    }  # fmt: skip
    return Session(**{**told, **changes})


SESSIONS = (
    None,
    plain_session(),
    plain_session(role=Role.ADMIN, proofs=(Proof(Factor.PASSWORD, NOW - 700), Proof(Factor.TOTP, NOW - 5))),
    plain_session(tenant="beta", is_owner=True, missing=Factor.TOTP),
    plain_session(missing=PERSON, grant=Grant("tok_1", NOW + 5, frozenset(("GET",)), ("/a",), None)),
    plain_session(networks=rule_of("198.51.100.0/24 Office", "", Role.EMPLOYEE, is_owner=False)),
)
RULES = Rules(
    public={"/public": OpenPath("/public", True), "/a/b": OpenPath("/a/b", False, frozenset(("GET", "OPTIONS")))},
    machine={"/api": OpenPath("/api", True, frozenset(("POST",)))},
    rules={
        "": Rule(""), "/a": Rule("/a", roles=frozenset((Role.ADMIN, Role.MANAGER))), "/o": Rule("/o", owner=True),
        "/a/b/c": Rule("/a/b/c", tenants=frozenset(("beta",))), "/t": Rule("/t", require=Factor.TOTP),
        "/f": Rule("/f", fresh=600, cross_site_post=True),
    },
    pages={"/login": Need.NOBODY, "/me": Need.SESSION, "/admin": Need.ADMIN, "/ops": Need.OWNER, "/out": Need.LEAVING,
           "/_gateway/auth": Need.PROXY},
    page_parents={"/invite": Need.NOBODY},
)  # fmt: skip


def feed(bodies: Any, pieces: Sequence[bytes]) -> list[Any]:
    """Feed pieces to a body until it ends or is refused; return all that it said."""
    said: list[Any] = []
    for piece in pieces:
        said.append(bodies.feed(piece))
        if said[-1][1] is not None:
            break
    return said


def gather(length: int, pieces: Sequence[bytes]) -> list[Any]:
    body = IncomingBody(length, 5.0)
    said = [
        (body.gather(piece), body.note_progress(len(piece)), body.has_enough, body.is_whole, body.received)
        for piece in pieces
    ]
    return [said, body.release(), body.deadline(7.0, Patience(10, 10, 10, 3))]


def read_heads(heads: Sequence[tuple[bytes, str]]) -> list[Any]:
    """Parse heads by one reader, which remembers lines, and each by a new one."""
    reader = new_reader()
    return [(reader.read(head, peer), reader.read(head, peer), new_reader().read(head, peer)) for head, peer in heads]


def judge(head: bytes, peer: str) -> list[Any]:
    """Decide about a head as each person; and say what is asked of an Inbound elsewhere."""
    inbound = new_reader().read(head, peer)
    if not isinstance(inbound, Inbound):
        return [inbound]
    asked = (
        inbound.path, inbound.query, inbound.has_token, inbound.is_page, inbound.is_framed, inbound.is_htmx,
        inbound.wants_html, inbound.is_navigation, inbound.user_agent, inbound.values(b"origin"),
        is_own_post(inbound, ORIGINS), is_from_elsewhere(inbound, ORIGINS), page_origin(inbound, ORIGINS),
        takes_foreign_form(inbound, RULES), RequestWriter("https", b"X-Fixed: 1\r\n").head(inbound, b"Id: x\r\n"),
    )  # fmt: skip
    return [asked, *(decide(inbound, session, RULES, NOW) for session in SESSIONS)]


def read_answers(answers: Sequence[tuple[bytes, str]]) -> list[Any]:
    reader, said = AnswerReader(frozenset((b"own",))), []
    for head, method in answers * 2:
        known = reader.read(head, method)
        said.append((known, known and sorted(known[0].passing), known and reader.may_be_cached(*known)))
    return said


def share(capacity: int, room: int, steps: Sequence[tuple[str, str]]) -> list[Any]:
    shares, said = Shares[int](capacity, room), []
    for number, (what, client) in enumerate(steps):
        if what == "ask":
            said.append(shares.ask(client, number))
        elif what == "release" and client in shares._held:
            said.append(shares.release(client))
        elif what == "withdraw":
            said.append(shares.withdraw(client, number - 2))
        said.append((shares.would_refuse(client), shares.has(client), shares.waiting, shares.in_use))
    return said


def remember(size: int, steps: Sequence[tuple[bytes, int]]) -> list[Any]:
    memo = Memo[bytes, int](size, lambda key, value: len(key))
    said: list[Any] = []
    for key, value in steps:
        said.append((memo.young.get(key) or memo.recall(key), key in memo))
        memo.put(key, value)
    return said


def identify(name: str, seconds: int) -> list[Any]:
    """Return what an application is told of a person of that name, at once and some seconds later, and of nobody."""
    identities = Identities(IDENTITY_NAMES, user_is_email=False, assertions=ASSERTIONS, blank=("X-Former",))
    session, times = plain_session(name=name), (NOW, NOW + seconds)
    said = [(identities.lines(session, now), identities.answer_lines(session, now)) for now in times]
    return [said, identities.answer_lines(None, NOW), identities.fields(session, NOW), identities.names]


def write_log(head: bytes, peer: str) -> list[Any]:
    """Return the lines of the access log for a request and for one that could not be read."""
    source, sink = os.pipe()
    with open(source, "rb") as written, open(sink, "wb") as given:
        log = AccessLog(given.fileno(), Deadlines(Clock(), lambda: NOW), ("/invite/", "/login/"))  # type: ignore[arg-type]
        inbound = new_reader().read(head, PEER)
        if isinstance(inbound, Inbound):
            log.record(SimpleNamespace(inbound=inbound, account="acc_1", started=0), 200, len(head))  # type: ignore[arg-type]
        log.record(Unread(peer, "0" * 12, "bad_request", 0), 400, 0)
        before = log.deadline
        log.expire()
        return [written.read1(100_000), before, log.deadline]


# A whole conversation: a client, the gateway and an application, without a network.


class Clock:
    """Stands for the event loop of `Deadlines`: it is always the same moment."""

    def time(self) -> float:
        return 1_000.0

    def call_later(self, delay: float, callback: Callable[[], None]) -> None:
        return None


class Recorded(asyncio.Transport):
    """A transport that keeps what is done with it."""

    def __init__(self, name: str, seen: list[Any]) -> None:
        super().__init__()
        self._name, self._seen, self._is_closing = name, seen, False

    def _note(self, *what: Any) -> None:
        self._seen.append((self._name, *what))

    def write(self, content: bytes) -> None:  # type: ignore[override]
        self._note("write", bytes(content))

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return (PEER, 50_000) if name == "peername" else None

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...
    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self._is_closing

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self._note("write_eof")

    def close(self) -> None:
        self._is_closing = True
        self._note("close")

    abort = close

    def pause_reading(self) -> None:
        self._note("pause")

    def resume_reading(self) -> None:
        self._note("resume")


class Application:
    """The pool of one upstream, each exchange on a connection of its own, without waiting for it."""

    def __init__(self, deadlines: Deadlines, seen: list[Any]) -> None:
        self.reader = AnswerReader(frozenset((b"own",)))
        self.patience = UpstreamPatience(5, 5, 5, 5)
        self.deadlines = deadlines
        self.learn = lambda inbound, lines: seen.append(("learn", inbound.path, lines))
        self.connections: list[UpstreamConnection] = []
        self._seen = seen

    def connect(self, exchange: Exchange) -> None:
        connection = UpstreamConnection(self)
        connection.connection_made(Recorded(f"app {len(self.connections)}", self._seen))
        self.connections.append(connection)
        connection.carry(exchange)

    def keep(self, connection: UpstreamConnection, exchange: Exchange) -> None:
        connection.rest(1_005.0)
        self._seen.append(("kept",))

    def free(self, exchange: Exchange) -> None:
        self._seen.append(("freed",))

    def forget(self, connection: UpstreamConnection) -> None:
        self._seen.append(("forgotten",))

    def withdraw(self, exchange: Exchange) -> None: ...


def converse(client: Sequence[bytes], answers: Sequence[bytes], end: str) -> list[Any]:
    """Return all that client and application see, when both send these pieces in turns, and one of them then ends."""
    seen: list[Any] = []
    deadlines = Deadlines(Clock(), lambda: NOW)  # type: ignore[arg-type]
    reader = new_reader()
    shared = Shared(
        reader=reader, deadlines=deadlines, patience=Patience(10, 10, 10, 1), max_head_bytes=2_000, max_connections=9,
        max_bodies=9, is_proxy=lambda peer: False, refused=lambda *told: seen.append(("refused", told)),
        tell=lambda failure, *_: ([b"Content-Type: text/plain"], failure.value.code.encode()),
        record=lambda served, status, sent: seen.append(("record", status, sent)), note_view=lambda *_: None,
    )  # fmt: skip
    application, writer = Application(deadlines, seen), RequestWriter("https")

    def handle(request: ClientRequest, inbound: Inbound) -> None:
        if inbound.length and not request.has_enough():
            return
        if inbound.path == "/own":
            request.answer(200, [b"X-Own: 1"], b"own")
            return
        session = SESSIONS[1] if inbound.session_key else None
        exchange = Exchange(request, inbound, application, writer.head(inbound, b""), session)
        request.relay(exchange)
        if not exchange.is_over:
            application.connect(exchange)

    edge = Edge(shared, handle)
    connection = ClientConnection(edge)
    connection.connection_made(Recorded("client", seen))
    for number in range(max(len(client), len(answers))):
        if number < len(client):
            connection.data_received(client[number])
        if number < len(answers) and application.connections:
            application.connections[-1].data_received(answers[number])
    if end == "drain":
        edge.drain()
    elif end == "eof":
        seen.append(connection.eof_received())
    elif end == "expire":
        connection.expire()
    elif end == "slow":
        connection.pause_writing()
        connection.resume_writing()
    elif application.connections:
        upstream = application.connections[-1]
        (upstream.expire if end == "app expires" else lambda: upstream.connection_lost(None))()
    seen.append((connection.buffer, connection.deadline, connection.request is None))
    connection.connection_lost(None)
    return seen


PROBES: dict[str, Callable[..., Any]] = {
    "forms": lambda: (str(FORM), FORM.problem, sorted({str(import_module(name).__file__)[-3:] for name in MODULES})),
    "split_field": split_field,
    "read_length": read_length,
    "tokens": tokens,
    "chunk": chunk,
    "leave_out": leave_out,
    "chunked": lambda pieces: feed(ChunkedBody(), pieces),
    "counted": lambda length, pieces: feed(LengthBody(length), pieces),
    "gather": gather,
    "read_authority": read_authority,
    "split_cookies": lambda value: split_cookies(value, b"__Host-own", b"__Host-attempt"),
    "likely_name": likely_name,
    "read_path": read_path,
    "is_safe_query": is_safe_query,
    "accepts_request": accepts_request,
    "accepts_response": accepts_response,
    "is_heartbeat": is_heartbeat,
    "close_frame": close_frame,
    "find_failure": find_failure,
    "is_head_request": is_head_request,
    "whole_answer": lambda status, lines, body, said, is_head: whole_answer(status, lines, body, said, is_for_head=is_head),
    "judge_line": FIELD_RULES.judge,
    "agree": FIELD_RULES.agree,
    "read_request_line": lambda line: read_request_line(line, 60, frozenset((b"/login",))),
    "find_client": lambda peer, value: (PROXIES.find(peer, value), PROXIES.trusts(peer)),
    "reach": lambda method, said, host: REACH.read(method, Resource(b"/own", ("/own",), False), host, said),
    "names_anything": names_anything,
    "walk_up": walk_up,
    "read_heads": read_heads,
    "judge": judge,
    "read_answers": read_answers,
    "share": share,
    "remember": remember,
    "converse": converse,
    "identify": identify,
    "write_log": write_log,
}  # fmt: skip


def answer(name: str, arguments: tuple[Any, ...]) -> str:
    with capture_logs() as logged:
        try:
            said = ADDRESS.sub("", repr(PROBES[name](*arguments)))
        except Exception as error:  # whatever it is, both forms must raise it
            said = f"{type(error).__module__}.{type(error).__qualname__}: {error}"
    return f"{said} {logged}" if logged else said


def main() -> None:
    while True:
        try:
            questions: list[Question] = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        pickle.dump([answer(*question) for question in questions], sys.stdout.buffer)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
