"""The table of all metrics: the Prometheus name, the labels, and the place in the list of numbers.

Numbers are unsigned 64-bit integers; durations are counted in nanoseconds and exposed in seconds. The label values of a
family are known in advance, so each number has a fixed place while the gateway runs, and counting is an addition to a
list.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gateway.model.factor import Factor
from gateway.observe.refusals import Reason, Scarce

NANO = 1_000_000_000
GATE_BOUNDS = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
UPSTREAM_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
LAG_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
CONFIRMATION_BOUNDS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Kind(Enum):
    """How the numbers of several workers are combined, and the type that Prometheus is given."""

    COUNTER = "counter"  # includes the counts of workers that ended
    SUM = "the sum over the workers that live"
    LARGEST = "the largest of the workers that live"
    HISTOGRAM = "histogram"


class Outcome(Enum):
    """The outcome of a request."""

    FORWARDED = "forwarded"  # the application responded
    PAGE = "page"  # one of the gateway's own pages
    AUTHORISED = "authorised"  # forward-auth allowed it
    SIGN_IN = "sign_in"  # redirected to sign in, or to step up
    FORBIDDEN = "forbidden"
    REJECTED = "rejected"  # malformed, too large, too slow, for another host
    UPSTREAM_FAILED = "upstream_failed"  # the application gave no response, or a broken one
    UNAVAILABLE = "unavailable"  # the store was unavailable, or a bug of ours


class Result(Enum):
    """The result of verifying a proof."""

    SIGNED_IN = "signed_in"
    NEXT_FACTOR = "next_factor"
    WRONG = "wrong"
    LOCKED = "locked"
    BLOCKED = "blocked"
    BUSY = "busy"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Family:
    """One metric. `series` are the values of `labels`; `is_sparse` exposes only those that were counted."""

    name: str
    help: str
    kind: Kind
    labels: tuple[str, ...] = ()
    series: tuple[tuple[str, ...], ...] = ((),)
    bounds: tuple[float, ...] = ()
    is_sparse: bool = False

    @property
    def width(self) -> int:
        """The numbers of one series: for a histogram one for each bucket, one above all bounds, and the sum."""
        return len(self.bounds) + 2 if self.kind is Kind.HISTOGRAM else 1


def each(*values: str) -> tuple[tuple[str, ...], ...]:
    return tuple((value,) for value in values)


OTHER_FACTOR = "other"  # a family without labels has one series
FACTORS = (Factor.PASSWORD, Factor.PASSKEY, Factor.TOTP, Factor.BACKUP_CODE, Factor.MAGIC_LINK, OTHER_FACTOR)

FAMILIES = (
    Family(
        "requests", "Requests by what became of them.", Kind.COUNTER,
        ("outcome",), each(*(outcome.value for outcome in Outcome)),
    ),
    Family(
        "responses", "Answers by status.", Kind.COUNTER,
        ("status",), each(*map(str, range(600))), is_sparse=True,
    ),
    Family(
        "gate_seconds", "From the head of a request to its bytes on their way to the application, or to our answer.",
        Kind.HISTOGRAM, bounds=GATE_BOUNDS,
    ),
    Family(
        "upstream_seconds", "From a request's bytes on their way to the head of the answer.",
        Kind.HISTOGRAM, ("upstream",), each("application", "pages"), UPSTREAM_BOUNDS,
    ),
    Family(
        "sign_ins", "Proofs that were given, by factor and by what came of it.", Kind.COUNTER,
        ("factor", "outcome"), tuple((factor, result.value) for factor in FACTORS for result in Result),
    ),
    Family(
        "limits_hit", "Proofs that were not even checked, by the limit in the way.", Kind.COUNTER,
        ("limit",), each("locked", "blocked", "busy"),
    ),
    Family(
        "shares_refused", "What was refused so that all get a share: the client had some already, or none was left.",
        Kind.COUNTER,
        ("of", "reason"), tuple((scarce.value, reason.value) for scarce in Scarce for reason in Reason),
    ),
    Family(
        "confirmation_seconds", "From taking a right away until it was refused on all machines (PostgreSQL).",
        Kind.HISTOGRAM, bounds=CONFIRMATION_BOUNDS,
    ),
    Family(
        "nodes_lapsed", "Leases, of any machine, that workers of this one let run out. (Commands don't count theirs.)",
        Kind.COUNTER,
    ),
    Family("lease_age_seconds", "How long ago the oldest lease of this machine was renewed.", Kind.LARGEST),
    Family(
        "forwarded_for_unreadable", "Requests for which a trusted proxy wrote no address into X-Forwarded-For.",
        Kind.COUNTER,
    ),
    Family("page_views_lost", "Page views not recorded, because the store failed for too long.", Kind.COUNTER),
    Family("connections", "Open connections from clients.", Kind.SUM),
    Family(
        "upstream_connections", "Connections to the application: open, and of these unused.", Kind.SUM,
        ("state",), each("open", "idle"),
    ),
    Family("upstream_waiting", "Requests that wait for a connection to the application.", Kind.SUM),
    Family(
        "loop_lag_seconds", "How late the event loop was, measured every 10 ms, and every 50 ms while it is idle.",
        Kind.HISTOGRAM, bounds=LAG_BOUNDS,
    ),
    Family(
        "loop_held_seconds", "The part of it for which the loop's own thread was at work, and not waiting for a core.",
        Kind.HISTOGRAM, bounds=LAG_BOUNDS,
    ),
    Family("loop_lag_max_seconds", "The largest lag of the last one to two minutes, of all workers.", Kind.LARGEST),
)  # fmt: skip


def place_all() -> tuple[dict[tuple[str, ...], int], int]:
    """Return the first place of each series, by name and labels, and the number of all places."""
    places: dict[tuple[str, ...], int] = {}
    end = 0
    for family in FAMILIES:
        for labels in family.series:
            places[(family.name, *labels)] = end
            end += family.width
    return places, end


PLACES, COUNT = place_all()
