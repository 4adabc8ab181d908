"""What a request costs with an API token, with network rules, and while page views are recorded, beside one without.

    python bench/features.py [--seconds 3] [--rounds 5]     # five minutes

One gateway with a worker on core 0, and 1,000 people; load and upstream have core 1. In each round every feature is
switched on in its turn, and off again, in an order by chance: two gateways that do the same differ by some percent, and
one does not. The figures are medians of the ratios to the requests without any within a round. In bursts means ten
requests of one person, then ten of the next, as browsers load pages. The CPU time includes everything that the worker
does meanwhile, so also writing the page views.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
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
from gateway.store import Store
from gateway.tokens import rows as tokens

PEOPLE, BURST = 1_000, 10
WARM_SECONDS = 2  # a change is known after a quarter of a second
TENANT, PERSON = "turns", f"acc_{0:021}"  # of many_sessions.fill
TOKEN = make_token(Kind.PERSONAL)
SETTINGS = {"GATEWAY_TOKENS__ON": "true"}
BY_TOKEN = {**ANONYMOUS, "Authorization": f"Bearer {TOKEN.reveal()}"}
ADDRESSES = "10.0.0.0/8 Offices\n127.0.0.0/8 This machine"


@dataclass(frozen=True, slots=True)
class Feature:
    """What applies to everybody while it is measured; requests have these fields."""

    name: str
    networks: str = ""
    records_views: bool = False
    fields: Mapping[str, str] = field(default_factory=lambda: BY_NGINX, compare=False)


PLAIN = Feature("none of them")
FEATURES = (
    Feature("by API token", fields=BY_TOKEN),
    Feature("with network rules", networks=ADDRESSES),
    Feature("page views recorded", records_views=True),
)


async def add_token(url: str) -> None:
    now = int(time.time())
    grant = Grant("tok_1", now + 86_400, frozenset(), (), ())
    row = tokens.TokenRow("tok_1", PERSON, Kind.PERSONAL, "A program", Role.EMPLOYEE, grant, now, None, None, "", "")
    async with opened(url) as store, store.transaction() as tx:
        await tokens.add(tx, row, digest_of(TOKEN.reveal().encode()))


async def switch(url: str, feature: Feature) -> None:
    """Let the feature apply to everybody in the store, and no other one."""
    async with opened(url) as store, store.transaction() as tx:
        await networks.set_of_tenant(tx, TENANT, feature.networks)
        if feature.records_views:
            await page_views.switch_on(tx, TENANT, Switch(1, "a bench"))
        else:
            await page_views.switch_off(tx, TENANT)


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncIterator[Store]:
    store = Store.open(url)
    try:
        yield store
    finally:
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
        gateway = stack.enter_context(servers.deployed(folder, to, servers.ROOT, assertion=False, environ=SETTINGS))
        asyncio.run(fill(store_of(folder), PEOPLE))
        asyncio.run(add_token(store_of(folder)))
        for people, burst in ((PEOPLE, BURST), (PEOPLE, 1), (1, 1)):
            how = "people in turns" if burst == 1 else f"people in bursts of {burst}"
            print(f"-- {people:,} {how}" if people > 1 else "-- one person", flush=True)
            rounds = []
            for _ in range(options.rounds):
                order = random.sample((PLAIN, *FEATURES), 1 + len(FEATURES))
                rounds.append({each: measure(folder, each, gateway, people, burst, options.seconds) for each in order})
            show(rounds)


def measure(folder: Path, feature: Feature, gateway: Server, people: int, burst: int, seconds: int) -> float:
    """Return the µs of processor time of a request."""
    sessions, script = folder / "sessions.txt", folder / "requests.lua"
    sessions.write_text("".join(f"{session_of(number)}\n" for number in range(people)))
    script.write_text(lua(sessions, feature.fields, burst))
    asyncio.run(switch(store_of(folder), feature))
    load(gateway, feature, script, WARM_SECONDS)  # until everybody's session is read again
    before = gateway.cpu_seconds()
    number = load(gateway, feature, script, seconds)
    return (gateway.cpu_seconds() - before) / number * 1e6


def load(gateway: Server, feature: Feature, script: Path, seconds: int) -> int:
    """Return the number of requests."""
    url = f"http://127.0.0.1:{gateway.port}"
    answers = wrk(url, CONNECTIONS, seconds, "-s", str(script), "--", "0", os.urandom(8).hex())
    if answers.wrong:
        raise SystemExit(f"{feature.name}: {answers.wrong} wrong answers")
    return answers.number


def show(rounds: list[dict[Feature, float]]) -> None:
    for feature in (PLAIN, *FEATURES):
        spent = statistics.median(measured[feature] for measured in rounds)
        ratio = statistics.median(measured[feature] / measured[PLAIN] for measured in rounds)
        print(f"{feature.name:25} {spent:6.1f} µs  {ratio:.3f} ×")


if __name__ == "__main__":
    main()
