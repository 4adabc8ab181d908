"""What a request costs with an API token, with network rules, and while page views are recorded, beside one without.

    python bench/features.py [--seconds 3] [--rounds 5]     # two minutes

Four gateways with a worker each on core 0, with 1,000 people each, take turns in every round; load and upstream have
core 1. The figures are medians of the ratios to the first one within a round. In bursts means ten requests of one
person, then ten of the next, as browsers load pages. The CPU time includes everything that the worker does meanwhile,
so also writing the page views.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import servers
from many_people import ANONYMOUS, BY_NGINX, lua, session_of
from many_sessions import fill
from run import CONNECTIONS, wrk
from servers import Server, store_of

from gateway.model.account import Role
from gateway.model.api_token import Grant, Kind, digest_of, make_token
from gateway.networks import rows as networks
from gateway.page_views import rows as page_views
from gateway.page_views.record import Switch
from gateway.store import Store, Transaction
from gateway.tokens import rows as tokens

PEOPLE, BURST = 1_000, 10
TENANT, PERSON = "turns", f"acc_{0:021}"  # of many_sessions.fill
TOKEN = make_token(Kind.PERSONAL)
SETTINGS = {"GATEWAY_TOKENS__ON": "true"}
BY_TOKEN = {**ANONYMOUS, "Authorization": f"Bearer {TOKEN.reveal()}"}
ADDRESSES = "10.0.0.0/8 Offices\n127.0.0.0/8 This machine"


async def add_token(tx: Transaction) -> None:
    now = int(time.time())
    grant = Grant("tok_1", now + 86_400, frozenset(), (), ())
    row = tokens.TokenRow("tok_1", PERSON, Kind.PERSONAL, "A program", Role.EMPLOYEE, grant, now, None, None, "", "")
    await tokens.add(tx, row, digest_of(TOKEN.reveal().encode()))


async def limit_networks(tx: Transaction) -> None:
    await networks.set_of_tenant(tx, TENANT, ADDRESSES)


async def record_views(tx: Transaction) -> None:
    assert await page_views.switch_on(tx, TENANT, Switch(1, "a bench"))


async def change_nothing(tx: Transaction) -> None:
    pass


@dataclass(frozen=True, slots=True, eq=False)
class Feature:
    """`prepare` makes it apply to everybody in the store; requests have these fields."""

    name: str
    prepare: Callable[[Transaction], Awaitable[None]] = change_nothing
    fields: Mapping[str, str] = field(default_factory=lambda: BY_NGINX)


PLAIN = Feature("none of them")
FEATURES = (
    Feature("by API token", add_token, BY_TOKEN),
    Feature("with network rules", limit_networks),
    Feature("page views recorded", record_views),
)


async def prepare(url: str, feature: Feature) -> None:
    store = Store.open(url)
    async with store.transaction() as tx:
        await feature.prepare(tx)
    await store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=3, help="of each in a round")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    os.sched_setaffinity(0, {int(servers.LOAD_CORE)})
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        to = stack.enter_context(servers.upstream(folder))
        gateways = {
            feature: stack.enter_context(deployed(folder / str(number), to, feature))
            for number, feature in enumerate((PLAIN, *FEATURES))
        }
        for people, burst in ((PEOPLE, BURST), (PEOPLE, 1), (1, 1)):
            how = "people in turns" if burst == 1 else f"people in bursts of {burst}"
            print(f"-- {people:,} {how}" if people > 1 else "-- one person")
            rounds = [{each: measure(folder, each, gateways[each], people, burst, options.seconds) for each in gateways}
                      for _ in range(options.rounds)]  # fmt: skip
            show(rounds)


@contextlib.contextmanager
def deployed(folder: Path, to: int, feature: Feature) -> Iterator[Server]:
    folder.mkdir()
    with servers.deployed(folder, to, servers.ROOT, assertion=False, environ=SETTINGS) as gateway:
        asyncio.run(fill(store_of(folder), PEOPLE))
        asyncio.run(prepare(store_of(folder), feature))
        yield gateway


def measure(folder: Path, feature: Feature, gateway: Server, people: int, burst: int, seconds: int) -> float:
    """Return the µs of processor time of a request."""
    sessions, script = folder / "sessions.txt", folder / "requests.lua"
    sessions.write_text("".join(f"{session_of(number)}\n" for number in range(people)))
    script.write_text(lua(sessions, feature.fields, burst))
    before = gateway.cpu_seconds()
    url = f"http://127.0.0.1:{gateway.port}"
    answers = wrk(url, CONNECTIONS, seconds, "-s", str(script), "--", "0", os.urandom(8).hex())
    if answers.wrong:
        raise SystemExit(f"{feature.name}: {answers.wrong} wrong answers")
    return (gateway.cpu_seconds() - before) / answers.number * 1e6


def show(rounds: list[dict[Feature, float]]) -> None:
    for feature in rounds[0]:
        spent = statistics.median(measured[feature] for measured in rounds)
        ratio = statistics.median(measured[feature] / measured[PLAIN] for measured in rounds)
        print(f"{feature.name:25} {spent:6.1f} µs  {ratio:.3f} ×")


if __name__ == "__main__":
    main()
