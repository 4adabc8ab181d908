"""Contrast of text in colours that follow from the accent, by WCAG 2.2 (§1.4.3). Pure.

The stylesheet mixes the accent with black or white for links, and with the surface for notes, in Oklab (CSS Color 4
§12). Mixing is linear, and so is the step from cube-rooted cone responses to Oklab, so those can be mixed as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

ENOUGH = 4.5  # §1.4.3, for text of normal size
BLACK, WHITE = "#000000", "#ffffff"
CONES = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
LIGHTS = (
    (4.0767416621, -3.3077115913, 0.2309699292),
    (-1.2684380046, 2.6097574011, -0.3413193965),
    (-0.0041960863, -0.7034186147, 1.7076147010),
)
LINK = re.compile(r"--link: color-mix\(in oklab, var\(--accent\) (\d+)%, (black|white)\)")
NOTE = re.compile(r"--note-ground: color-mix\(in oklab, var\(--accent\) (\d+)%, var\(--surface\)\)")
SCHEMES = ("light", "dark")  # in the order of the stylesheet

Numbers = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Contrast:
    """`text` is what is read where, `ratio` from 1 to 21."""

    text: str
    scheme: str
    ratio: float

    @property
    def is_enough(self) -> bool:
        return self.ratio >= ENOUGH


def measure(accent: str, stylesheet: str) -> Iterator[Contrast]:
    """Yield the contrasts of text that depend on `accent` (#rrggbb), with the colours and shares of the stylesheet."""
    (note_share,) = NOTE.findall(stylesheet)
    links = LINK.findall(stylesheet)
    grounds, surfaces = (re.findall(rf"--{name}: (#[0-9a-f]{{6}})", stylesheet) for name in ("ground", "surface"))
    for scheme, (share, towards), ground, surface in zip(SCHEMES, links, grounds, surfaces, strict=True):
        link = mix(accent, int(share) / 100, BLACK if towards == "black" else WHITE)
        yield Contrast("text on buttons", scheme, ratio(readable_on(accent), accent))
        yield Contrast("links on cards", scheme, ratio(link, surface))
        yield Contrast("links on the page", scheme, ratio(link, ground))
        yield Contrast("links in notes", scheme, ratio(link, mix(accent, int(note_share) / 100, surface)))


def readable_on(colour: str) -> str:
    """Return the text colour, black or white, with the higher contrast on `colour`."""
    return max((WHITE, BLACK), key=lambda text: ratio(text, colour))


def ratio(one: str, other: str) -> float:
    """Return the contrast of two colours (#rrggbb)."""
    darker, lighter = sorted((relative_luminance(one), relative_luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def relative_luminance(colour: str) -> float:
    red, green, blue = linear(colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def mix(colour: str, share: float, other: str) -> str:
    """Return what `color-mix(in oklab, colour share, other)` is. Shares are from 0 to 1."""
    pairs = zip(cones(colour), cones(other), strict=True)
    mixed = tuple((share * one + (1 - share) * two) ** 3 for one, two in pairs)
    return "#" + "".join(f"{encode(light):02x}" for light in times(LIGHTS, mixed))


def cones(colour: str) -> Numbers:
    """Return the cube-rooted responses of long, medium and short cones."""
    return tuple(response ** (1 / 3) for response in times(CONES, linear(colour)))


def linear(colour: str) -> Numbers:
    """Return red, green and blue as amounts of light, from 0 to 1."""
    channels = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return tuple(c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)


def encode(light: float) -> int:
    """Return an amount of light as an sRGB channel, from 0 to 255."""
    light = min(max(light, 0.0), 1.0)
    return round(255 * (12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055))


def times(matrix: tuple[Numbers, ...], vector: Numbers) -> Numbers:
    return tuple(sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix)
