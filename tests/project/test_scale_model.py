"""The simulation of bench/scale_model.py agrees with what queueing theory knows exactly."""

from __future__ import annotations

import itertools
import math
import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))

import scale_model
from scale_model import HOUR, REMEMBERED, Site, missed, peak_hour, serve, sign_in_waits


def poisson(rate: float, count: int, rng: random.Random) -> list[float]:
    return list(itertools.accumulate(rng.expovariate(rate) for _ in range(count)))


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_a_queue_with_constant_service_waits_as_pollaczek_and_khinchine_say(load: float) -> None:
    waits = list(serve(poisson(load, 200_000, random.Random(1)), itertools.repeat(1.0)))
    assert sum(waits) / len(waits) == pytest.approx(load / (2 * (1 - load)), rel=0.08)


def test_several_servers_make_wait_as_often_as_erlang_says() -> None:
    rng, servers, offered = random.Random(2), 4, 3.0
    services = (rng.expovariate(1) for _ in itertools.count())
    waits = list(serve(poisson(offered, 200_000, rng), services, servers))
    last = offered**servers / math.factorial(servers) * servers / (servers - offered)
    waiting = last / (sum(offered**n / math.factorial(n) for n in range(servers)) + last)
    assert sum(wait > 0 for wait in waits) / len(waits) == pytest.approx(waiting, rel=0.05)


def test_a_memory_that_starts_anew_misses_as_collecting_coupons_says() -> None:
    people = 6 * REMEMBERED
    requests = people * math.log(people / (people - REMEMBERED))  # to see 50,000 different ones
    assert missed(people, random.Random(3)) == pytest.approx(REMEMBERED / requests, rel=0.05)
    assert missed(REMEMBERED, random.Random(3)) == 0


def test_a_peak_hour_has_its_people_and_its_peak() -> None:
    times = list(peak_hour(100_000, random.Random(4)))
    assert len(times) == pytest.approx(100_000, rel=0.02)
    middle = [at for at in times if abs(at - HOUR / 2) < HOUR / 20]
    assert len(middle) / len(times) == pytest.approx(math.sin(math.pi / 20), rel=0.05)


def test_more_nodes_wait_less_and_refuse_less() -> None:
    site = Site(people=30_000, requests=300)
    one, two = (sign_in_waits(site, nodes, random.Random(5)) for nodes in (1, 2))
    assert two.p99 < one.p99
    assert two.refused <= one.refused
    assert two.median >= scale_model.F["hash"]
