"""The bars of a chart. Pure."""

from __future__ import annotations

from gateway.web.charts import list_slots, make_chart


def test_the_highest_bar_fills_the_chart_and_a_count_of_one_is_still_seen() -> None:
    chart = make_chart("failures", [0, 10, 30, 60], [0, 1, 1_000, 500])
    assert [bar.height for bar in chart.bars] == [0.0, 3.0, 100.0, 50.0]
    assert [bar.x for bar in chart.bars] == [0.0, 25.0, 50.0, 75.0]
    assert (chart.total, chart.most, chart.peak, chart.latest, chart.bar_width) == (1_501, 1_000, 30, 500, 20.0)


def test_a_chart_of_nothing_has_no_heights() -> None:
    chart = make_chart("failures", [0, 10], [0, 0])
    assert (chart.total, chart.most, [bar.height for bar in chart.bars]) == (0, 0, [0.0, 0.0])
    assert make_chart("failures", [], []).bars == ()


def test_the_table_has_the_slots_with_counts_latest_first() -> None:
    charts = [make_chart("a", [0, 10, 20], [1, 0, 0]), make_chart("b", [0, 10, 20], [0, 0, 5])]
    assert list(list_slots(charts)) == [(20, (0, 5)), (0, (1, 0))]
