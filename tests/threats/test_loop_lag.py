"""Nothing that a person or a program sends holds a worker's event loop: every form and page with its worst input."""

from __future__ import annotations

import asyncio
import itertools
import math
import random
import string
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import insert

from gateway.accounts import rows as account_rows
from gateway.audit import rows as audit_rows
from gateway.model.account import Role
from gateway.model.api_token import Grant, Kind, digest_of
from gateway.model.entry import Entry, Outcome
from gateway.model.event import Event
from gateway.model.factor import Factor, Proof
from gateway.observe.pulse import BEAT_SECONDS
from gateway.sessions import rows as session_rows
from gateway.store import Store, Transaction
from gateway.store.schema import sessions
from gateway.tokens import rows as token_rows
from gateway.tokens.rows import TokenRow
from tests.support.gateway import PASSWORD, PEOPLE, Gateway
from tests.support.person import NAVIGATION, Person
from tests.support.raw import get
from tests.support.speed import slowness
from tests.support.upstream import RecordingUpstream

# Of a hold up to 10 ms are not seen: the loop is looked at that often (observe.lag). 5 ms are what a hold may take on a
# quiet machine. A core that is shared takes twice as long for the same work; a slow one, by its slowness.
MOST_SECONDS = 0.01
TIMES, TRIALS = 4, 3
ROWS, MEMBERS = 1_100, 200
LONG_DOMAIN = f"{'b' * 60}.{'c' * 60}.example"
SIGNS = "4@({[<36!1|0$57+%2"
numbers = itertools.count()


@pytest.fixture(scope="module")
def loaded(recorder: RecordingUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One worker, with everything as long and as many as it can be made from outside."""
    changes = {
        "LISTEN__WORKERS": "1",
        "LISTEN__ACCESS_LOG": "false",
        "SIGNUP__MODE": "open",
        "SIGNUP__TENANT": "acme",
        "PAGES__PRODUCT": "産" * 60,
        "TOKENS__ON": "true",
    }
    folder: Path = tmp_path_factory.mktemp("loaded")
    running = Gateway(folder, f"127.0.0.1:{recorder.port}", changes=changes).seed()
    asyncio.run(fill_store(running.store_url))
    running.start()
    yield running
    assert running.stop() == 0


def user_agent(number: int) -> str:
    """Return one that takes long to read, and that no other is equal to."""
    return f"Mozilla/5.0 (Linux; Android 1;{';' * 200}{number}"


def held(gateway: Gateway) -> dict[float, float]:
    """Return how often the loop was held, until now, for longer than each of the bounds (seconds) of the histogram."""
    time.sleep(1.2 * BEAT_SECONDS)  # what was seen is on the board after the next beat
    families = text_string_to_metric_families(gateway.ask_admin("/metrics").body.decode())
    upto = {
        float(sample.labels["le"]): sample.value
        for family in families
        for sample in family.samples
        if sample.name == "otium_gateway_loop_held_seconds_bucket"
    }
    return {bound: upto[math.inf] - count for bound, count in upto.items()}


async def fill_store(url: str) -> None:
    store = Store.open(url)
    await fill(store)
    await store.close()


async def fill(store: Store) -> None:
    """Make rows of everything that a page shows: long names, and browsers that take long to read."""
    now = int(time.time())
    async with store.transaction() as tx:
        erin = await account_rows.find_by_identifier(tx, PEOPLE["employee"][0])
        assert erin is not None
        for n in range(ROWS):
            entry = Entry(
                Event.LOGIN_FAILED, Outcome.FAILURE, now - n, f"{n}@{LONG_DOMAIN}", tenant="acme",
                address=f"198.51.100.{n % 200}", user_agent=user_agent(n), request_id=f"r{n}",
                details={"device": "x" * 200},
            )  # fmt: skip
            await audit_rows.record(tx, entry)
        for n in range(MEMBERS):
            member = replace(erin, id=account_rows.new_account_id(), identifier=f"{n}@{LONG_DOMAIN}", name="産" * 200)
            assert await account_rows.add(tx, member)
            await add_tokens(tx, member.id if n % 2 else erin.id, n, now)
        for n in range(MEMBERS):
            await tx.execute(
                insert(sessions).values(
                    id=f"ses_{n}", token_key=n.to_bytes(32), account=erin.id, proofs=session_rows.write_proofs([Proof(Factor.PASSWORD, now)]), address="198.51.100.7",
                    user_agent=user_agent(n), started_at=now, seen_at=now,
                )
            )  # fmt: skip


async def add_tokens(tx: Transaction, account: str, number: int, now: int) -> None:
    for n in range(3):
        grant = Grant(f"tok_{number}_{n}", now + 900, paths=tuple(f"/{'a' * 197}{at}" for at in range(20)))
        row = TokenRow(grant.token, account, Kind.PERSONAL, "産" * 100, Role.EMPLOYEE, grant, now, None, None, "", "")
        await token_rows.add(tx, row, digest_of(grant.token.encode()))


def words(alphabet: str, length: int) -> str:
    return "".join(random.choice(alphabet) for _ in range(length))


PASSWORDS = {
    "letters": lambda: words(string.ascii_letters, 72),
    "digits": lambda: words(string.digits, 72),
    "signs for letters": lambda: words(SIGNS, 72),
    "a keyboard's rows": lambda: "qwertyuiopasdfghjklzxcvbnm" * 3,
    "repetitions": lambda: words("ab", 3) * 40,
    "dates": lambda: "1.1.1991-2/2/92" * 10,
    "as long as it may be": lambda: words(string.printable.strip(), 4_000),
    "decomposed": lambda: "e\u0301" * 1_300,
    "a field as long as a form may be": lambda: "\u1fb7" * 7_000,
}


def hint(gateway: Gateway, password: str) -> None:
    fields = {
        "password": password,
        "email": f"{'a' * 64}@{LONG_DOMAIN}",
        "name": " ".join(words("abc", 4) for _ in range(40)),
    }
    assert gateway.post("/_gateway/password-hint", fields).status == 200


def networks() -> str:
    """Return a list as long as it may be, with lines that no other has."""
    lines = (f"2001:db8:{n:x}:{next(numbers):x}::/64 {'産' * 5} until 2999-12-31" for n in range(99))
    return "\n".join(("10.0.0.0/8", *lines))


@dataclass
class World:
    gateway: Gateway
    erin: Person
    adam: Person


def everything() -> dict[str, Callable[[World], object]]:
    many = "&".join(f"f{n}=" for n in range(1_000)).encode()
    long = dict.fromkeys(("email", "password", "next"), "ß́" * 3000)
    query = "&".join(f"words={'%C3%9F' * 200}" for _ in range(4))
    return {
        **{f"hint: {name}": partial(lambda make, w: hint(w.gateway, make()), make) for name, make in PASSWORDS.items()},
        "sign-in: long": lambda w: w.gateway.post("/login", long),
        "sign-in: many fields": lambda w: w.gateway.post("/login", many),
        "sign-in: 60 kB of one field": lambda w: w.gateway.post("/login", {"email": "a" * 60_000}),
        "sign-in: a new browser": lambda w: w.gateway.post(
            "/login", {"email": PEOPLE["employee"][0], "password": PASSWORD}, f"User-Agent: {user_agent(next(numbers))}"
        ),
        "forgotten: a long email": lambda w: w.gateway.post(
            "/forgot-password", {"email": f"{'ß' * 64}@{'ä.' * 100}de"}
        ),
        "forgotten: 60 kB": lambda w: w.gateway.post("/forgot-password", {"email": "ä" * 10_000 + "@" + "ö" * 10_000}),
        "signing up": lambda w: w.gateway.post(
            "/signup",
            {"name": "産" * 200, "email": f"n{next(numbers)}@{LONG_DOMAIN}", "password": words(SIGNS, 72)},
            source=f"127.0.1.{next(numbers) % 250 + 1}",
        ),
        "a code": lambda w: w.erin.send("/login/totp", {"code": "\ufdfa" * 7_000}),
        "the QR code": lambda w: w.erin.open("/me/security/totp"),
        "the devices": lambda w: w.erin.open("/me/sessions"),
        "the security page": lambda w: w.erin.open("/me/security"),
        "the log": lambda w: w.adam.open("/admin/audit"),
        "the log, searched": lambda w: w.adam.open(f"/admin/audit?{query[:3000]}&before={int(time.time()) - 100}-900"),
        "the export, CSV": lambda w: w.adam.send("/admin/audit/export", {"format": "csv"}),
        "the export, JSON": lambda w: w.adam.send("/admin/audit/export", {"format": "jsonl"}),
        "the people": lambda w: w.adam.open("/admin/accounts"),
        "the access review": lambda w: w.adam.open("/admin/access?sort=seen"),
        "the access review, CSV": lambda w: w.adam.send("/admin/access/export", {}),
        "unused accounts": lambda w: w.adam.open("/admin/access/unused"),
        "unused accounts, disabled": lambda w: w.adam.send(
            "/admin/access/unused", {"do": "listed", "people": " ".join(map(str, range(11_000))), "confirmed": "yes"}
        ),
        "the people, searched": lambda w: w.adam.open("/admin/accounts?words=" + "%E7%94%A3" * 200),
        "an invitation": lambda w: w.adam.send(
            "/admin/accounts/invite",
            {"name": "産" * 200, "email": f"i{next(numbers)}@{LONG_DOMAIN}", "role": "employee"},
        ),
        "own tokens": lambda w: w.erin.open("/me/tokens"),
        "a token": lambda w: w.erin.send("/me/tokens", {"name": "a", "days": "9", "paths": f"/{'a' * 1_000}\n" * 60}),
        "a path": lambda w: w.erin.send("/me/tokens", {"name": "a", "days": "9", "paths": "/a" * 30_000}),
        "the tokens": lambda w: w.adam.open("/admin/tokens"),
        "networks": lambda w: w.adam.send(
            "/admin/networks", {name: networks() for name in ("everyone", "employee", "manager", "admin")}
        ),
        "networks: 60 kB": lambda w: w.erin.send("/me/networks", {"networks": "1\n" * 20_000}),
        "networks: one line": lambda w: w.erin.send("/me/networks", {"networks": "1.1.1.1" + " x" * 20_000}),
        "many cookies": lambda w: w.gateway.exchange(
            get("/login", "Cookie: " + "; ".join(f"a{n}={n}" for n in range(2_000)))
        ),
        "a long way back": lambda w: w.gateway.exchange(get("/x/" + "%C3%9F" * 1_300, *NAVIGATION)),
        "a path of dots": lambda w: w.gateway.exchange(get("/" + "a/../" * 1_600, *NAVIGATION)),
        "a kept form": lambda w: w.gateway.post("/app", "&".join(f"f{n}=%3Csvg%3E" for n in range(900)).encode()),
    }


def find_guilty(gateway: Gateway, actions: dict[str, Callable[[], object]], trials: int = TRIALS) -> list[str]:
    """Return which of these hold the loop too long, each time that they are done.

    A busy neighbour makes anything late now and then, so fewer holds than one action makes are nobody's, and what is
    late among many is looked for among fewer.
    """
    names, slow, before = list(actions), slowness(), held(gateway)
    for name in names * TIMES:
        actions[name]()
    most = MOST_SECONDS * max(slow, slowness())
    bound = min(bound for bound in before if bound >= most)
    if held(gateway)[bound] - before[bound] < TIMES:
        return []
    if len(names) > 1:
        middle = len(names) // 2
        halves = ({name: actions[name] for name in half} for half in (names[:middle], names[middle:]))
        return [name for half in halves for name in find_guilty(gateway, half, trials)]
    return find_guilty(gateway, actions, trials - 1) if trials else names


@pytest.mark.alone
@pytest.mark.timeout(400)  # on a machine so busy that everything is late
def test_nothing_that_is_sent_holds_the_loop(loaded: Gateway) -> None:
    world = World(loaded, Person(loaded), Person(loaded, "admin"))
    world.erin.sign_in()
    world.adam.sign_in()
    actions = {name: partial(action, world) for name, action in everything().items()}
    assert len(actions) > 25
    assert find_guilty(loaded, actions) == []
