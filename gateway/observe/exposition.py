"""The board's numbers in the Prometheus text format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from gateway import __version__
from gateway.observe.board import Totals
from gateway.observe.families import FAMILIES, NANO, PLACES, Family, Kind
from gateway.observe.figures import Figures

PREFIX = "otium_gateway_"
CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4


def write(totals: Totals, figures: Figures | None) -> bytes:
    """Return the text of /metrics. `figures` is None if the store did not answer."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Once([*of_workers(totals), *of_store(figures)]))
    return generate_latest(registry)


class Once(Collector):
    """Metrics that were collected already."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def of_workers(totals: Totals) -> Iterator[Metric]:
    for family in FAMILIES:
        match family.kind:
            case Kind.COUNTER:
                yield counter(family, totals.numbers)
            case Kind.HISTOGRAM:
                yield histogram(family, totals.numbers)
            case Kind.SUM | Kind.LARGEST:
                yield gauge(family, totals.numbers)
    yield plain_gauge("workers", "Workers that live.", totals.workers)
    ended = CounterMetricFamily(f"{PREFIX}worker_restarts", "Workers that had to be replaced.", labels=["reason"])
    ended.add_metric(["died"], totals.died)
    ended.add_metric(["hung"], totals.hung)
    yield ended
    build = GaugeMetricFamily(f"{PREFIX}build_info", "The version that runs.", labels=["version"])
    build.add_metric([__version__], 1)
    yield build


def counter(family: Family, numbers: list[int]) -> Metric:
    metric = CounterMetricFamily(PREFIX + family.name, family.help, labels=family.labels)
    for labels in family.series:
        value = numbers[PLACES[(family.name, *labels)]]
        if value or not family.is_sparse:
            metric.add_metric(labels, value)
    return metric


def gauge(family: Family, numbers: list[int]) -> Metric:
    scale = NANO if family.name.endswith("_seconds") else 1
    metric = GaugeMetricFamily(PREFIX + family.name, family.help, labels=family.labels)
    for labels in family.series:
        metric.add_metric(labels, numbers[PLACES[(family.name, *labels)]] / scale)
    return metric


def histogram(family: Family, numbers: list[int]) -> Metric:
    metric = HistogramMetricFamily(PREFIX + family.name, family.help, labels=family.labels)
    for labels in family.series:
        start = PLACES[(family.name, *labels)]
        so_far, buckets = 0, []
        for at, bound in enumerate([*map(str, family.bounds), "+Inf"]):
            so_far += numbers[start + at]
            buckets.append((bound, so_far))
        metric.add_metric(labels, buckets, numbers[start + family.width - 1] / NANO)
    return metric


def of_store(figures: Figures | None) -> Iterator[Metric]:
    """Yield the store's metrics. While it is unavailable, only `store_up` is given: any other number would be wrong."""
    yield plain_gauge("store_up", "Whether the store answers.", int(figures is not None))
    if figures is None:
        return
    sessions = GaugeMetricFamily(f"{PREFIX}sessions", "Sessions that are open.", labels=["who"])
    sessions.add_metric(["members"], figures.members)
    sessions.add_metric(["owners"], figures.owners)
    yield sessions
    mails = GaugeMetricFamily(f"{PREFIX}outbox", "Mails that wait, and that were given up.", labels=["state"])
    mails.add_metric(["waiting"], figures.waiting)
    mails.add_metric(["abandoned"], figures.abandoned)
    yield mails
    age = figures.oldest_seconds or 0
    yield plain_gauge("outbox_oldest_seconds", "How long the oldest mail has been waiting.", age)
    behind = GaugeMetricFamily(
        f"{PREFIX}node_revisions_behind",
        "Revisions that a worker has yet to apply; ending a session waits for the worker until then.",
        labels=["host", "pid"],
    )
    renewed = GaugeMetricFamily(
        f"{PREFIX}node_renewed_seconds", "How long ago a worker renewed its lease.", labels=["host", "pid"]
    )
    for node in figures.nodes:
        if not node.is_lapsed:
            behind.add_metric([node.host, str(node.pid)], node.behind)
        renewed.add_metric([node.host, str(node.pid)], node.renewed)
    yield behind
    yield renewed


def plain_gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(PREFIX + name, text, value=value)
