"""What a request costs with an API token, with network rules, and while page views are recorded, beside one without.

    python bench/features.py [--seconds 1] [--rounds 30]     # ten minutes

One gateway with a worker on core 0, and 1,000 people for each feature; load and upstream have core 1. In each round all
have their turn, in an order by chance. The figures are medians of the ratios to the requests without any within a
round. Two gateways that do the same would differ by some percent, one does not. In bursts means ten requests of one
person, then ten of the next, as browsers load pages. The CPU time includes everything that the worker does meanwhile,
so also writing the page views.
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
from collections.abc import Mapping
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
WRITING_SECONDS = 0.6  # until the last page views are written
PERSON = f"acc_{0:021}"  # of many_sessions.fill
TOKEN = make_token(Kind.PERSONAL)
SETTINGS = {"GATEWAY_TOKENS__ON": "true"}
BY_TOKEN = {**ANONYMOUS, "Authorization": f"Bearer {TOKEN.reveal()}"}
ADDRESSES = "10.0.0.0/8 Offices\n127.0.0.0/8 This machine"


@dataclass(frozen=True, slots=True)
class Feature:
    """What applies to the people of a tenant, who are numbered from `first` on; their requests have these fields."""

    name: str
    tenant: str = "turns"
    first: int = 0
    fields: Mapping[str, str] = field(default_factory=lambda: BY_NGINX, compare=False)


PLAIN = Feature("none of them")
TOKENS = Feature("by API token", fields=BY_TOKEN)
RULES = Feature("with network rules", "ruled", 1_000_000)
VIEWS = Feature("page views recorded", "viewed", 2_000_000)
FEATURES = (TOKENS, RULES, VIEWS)


async def prepare(url: str, people: int) -> None:
    """Add what the features need to a store with the people of PLAIN: so many people for each."""
    for feature in (RULES, VIEWS):
        await fill(url, people, tenant=feature.tenant, first=feature.first)
    now = int(time.time())
    grant = Grant("tok_1", now + 86_400, frozenset(), (), ())
    row = tokens.TokenRow("tok_1", PERSON, Kind.PERSONAL, "A program", Role.EMPLOYEE, grant, now, None, None, "", "")
    store = Store.open(url)
    async with store.transaction() as tx:
        await networks.set_of_tenant(tx, RULES.tenant, ADDRESSES)
        assert await page_views.switch_on(tx, VIEWS.tenant, Switch(1, "a bench"))
        await tokens.add(tx, row, digest_of(TOKEN.reveal().encode()))
    await store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=1, help="of each in a round")
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    os.sched_setaffinity(0, {int(servers.LOAD_CORE)})
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        to = stack.enter_context(servers.upstream(folder))
        gateway = stack.enter_context(servers.deployed(folder, to, servers.ROOT, assertion=False, environ=SETTINGS))
        asyncio.run(fill(store_of(folder), PEOPLE))
        asyncio.run(prepare(store_of(folder), PEOPLE))
        for people, burst in ((PEOPLE, BURST), (PEOPLE, 1), (1, 1)):
            how = "people in turns" if burst == 1 else f"people in bursts of {burst}"
            print(f"-- {people:,} {how}" if people > 1 else "-- one person", flush=True)
            rounds = []
            for _ in range(1 + options.rounds):
                order = random.sample((PLAIN, *FEATURES), 1 + len(FEATURES))
                rounds.append({each: measure(folder, each, gateway, people, burst, options.seconds) for each in order})
            show(rounds[1:])  # in the first one their sessions were read


def measure(folder: Path, feature: Feature, gateway: Server, people: int, burst: int, seconds: int) -> float:
    """Return the µs of processor time of a request."""
    sessions, script = folder / "sessions.txt", folder / "requests.lua"
    sessions.write_text("".join(f"{session_of(feature.first + number)}\n" for number in range(people)))
    script.write_text(lua(sessions, feature.fields, burst))
    before = gateway.cpu_seconds()
    url = f"http://127.0.0.1:{gateway.port}"
    answers = wrk(url, CONNECTIONS, seconds, "-s", str(script), "--", "0", os.urandom(8).hex())
    if answers.wrong:
        raise SystemExit(f"{feature.name}: {answers.wrong} wrong answers")
    time.sleep(WRITING_SECONDS)
    return (gateway.cpu_seconds() - before) / answers.number * 1e6


def show(rounds: list[dict[Feature, float]]) -> None:
    for feature in (PLAIN, *FEATURES):
        spent = statistics.median(measured[feature] for measured in rounds)
        ratio = statistics.median(measured[feature] / measured[PLAIN] for measured in rounds)
        print(f"{feature.name:25} {spent:6.1f} µs  {ratio:.3f} ×")


if __name__ == "__main__":
    main()
