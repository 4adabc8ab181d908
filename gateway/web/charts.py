"""Bar charts over time: computed here, and drawn as SVG by templates/web/charts.html, without a script. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

LEAST_HEIGHT = 3.0  # hundredths of the chart, so that a count above 0 is always visible
BAR_PART = 0.8  # of its slot; the rest is the space to the next one


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar: the count of the slot that begins at `at`, UTC seconds. `x` and `height` are hundredths of the chart."""

    at: int
    count: int
    x: float
    height: float


@dataclass(frozen=True, slots=True)
class Chart:
    """One series; `most` is the count of its highest bar, `bar_width` is in hundredths of the chart."""

    name: str
    bars: tuple[Bar, ...]
    total: int
    most: int
    bar_width: float

    @property
    def latest(self) -> int:
        """The count of the last slot, which is not over yet."""
        return self.bars[-1].count

    @property
    def peak(self) -> int:
        """Where the highest bar begins, UTC seconds."""
        return max(self.bars, key=lambda bar: bar.count).at


def make_chart(name: str, starts: Sequence[int], counts: Sequence[int]) -> Chart:
    """Return the chart of one series: the counts of the slots that begin at `starts`, UTC seconds."""
    most, step = max(counts, default=0), 100 / max(1, len(starts))
    bars = tuple(
        Bar(at, count, round(slot * step, 3), round(height_of(count, most), 3))
        for slot, (at, count) in enumerate(zip(starts, counts, strict=True))
    )
    return Chart(name, bars, sum(counts), most, round(step * BAR_PART, 3))


def height_of(count: int, most: int) -> float:
    return max(LEAST_HEIGHT, 100 * count / most) if count else 0.0


def list_slots(charts: Sequence[Chart]) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Yield the slots in which anything was counted, latest first: their starts, and the count of each chart."""
    for bars in reversed(list(zip(*(chart.bars for chart in charts), strict=True))):
        if any(bar.count for bar in bars):
            yield bars[0].at, tuple(bar.count for bar in bars)
