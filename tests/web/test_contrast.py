"""The contrasts that follow from the accent, as WCAG counts them."""

from __future__ import annotations

import pytest

from gateway.settings.places import TEMPLATES
from gateway.web.contrast import SCHEMES, measure, mix, ratio

CSS = (TEMPLATES / "static" / "gateway.css").read_text()


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("#000000", "#ffffff", 21.0),
        ("#777777", "#ffffff", 4.48),
        ("#767676", "#ffffff", 4.54),
        ("#abcdef", "#abcdef", 1.0),
    ],
)
def test_a_ratio_is_that_of_wcag_in_either_order(one: str, other: str, expected: float) -> None:
    assert ratio(one, other) == ratio(other, one) == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize("colour", ["#2457c5", "#ffd400", "#000000", "#ffffff", "#00ff00", "#123456"])
def test_a_colour_mixed_with_nothing_or_itself_stays(colour: str) -> None:
    assert mix(colour, 1, "#ffffff") == mix(colour, 0.3, colour) == mix("#ffffff", 0, colour) == colour


def test_four_texts_are_measured_in_each_scheme() -> None:
    found = list(measure("#2457c5", CSS))
    assert [contrast.scheme for contrast in found] == [scheme for scheme in SCHEMES for _ in range(4)]
    assert all(contrast.is_enough for contrast in found)


@pytest.mark.parametrize("accent", ["#ffd400", "#ffffff", "#7fdbff"])
def test_links_in_a_bright_accent_can_not_be_read_in_the_light(accent: str) -> None:
    weak = {(contrast.scheme, contrast.text) for contrast in measure(accent, CSS) if not contrast.is_enough}
    assert weak == {("light", text) for text in ("links on cards", "links on the page", "links in notes")}
