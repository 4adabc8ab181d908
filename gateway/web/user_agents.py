"""Names a device by its User-Agent: browser and system.

Uses ua-parser's lists of browsers and systems, but not its list of devices, which is by far the longest.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from ua_parser import parse_os, parse_user_agent

from gateway.model.sentence import Sentence
from gateway.throttle.slices import Slices

MAX_READ = 200  # characters: enough for browsers, and at most two milliseconds of parsing
UNKNOWN = Sentence("Unknown device")
# Common names in place of ua-parser's, which distinguishes editions of a browser.
BROWSERS = {
    "Mobile Safari": "Safari",
    "Chrome Mobile": "Chrome",
    "Chrome Mobile iOS": "Chrome",
    "Edge Mobile": "Edge",
    "Firefox Mobile": "Firefox",
    "Firefox iOS": "Firefox",
}
SYSTEMS = {"Mac OS X": "Mac", "iOS": "iPhone"}


def load_lists() -> None:
    """Compile ua-parser's lists, in a fifth of a second. Else the first call of `label` does."""
    parse_user_agent("")
    parse_os("")


@lru_cache(2_048)
def label(user_agent: str) -> Sentence:
    """Return a name like "Chrome on Windows"; for unknown browsers, the first word of the User-Agent."""
    read = user_agent[:MAX_READ]
    browser, system = parse_user_agent(read), parse_os(read)
    name = BROWSERS.get(browser.family, browser.family) if browser else first_word(user_agent)
    if system is None:
        return Sentence(name)
    return Sentence("{browser} on {system}", browser=name, system=name_of(system.family, read))


def read_label(text: str) -> Sentence:
    """Read a name back from the store, where it is in English, so that it can be translated."""
    browser, on, system = text.rpartition(" on ")
    return Sentence("{browser} on {system}", browser=browser, system=system) if on else Sentence(text)


def name_of(system: str, user_agent: str) -> str:
    return "iPad" if system == "iOS" and "iPad" in user_agent else SYSTEMS.get(system, system)


def first_word(user_agent: str) -> str:
    first = user_agent.split("/")[0].split(" ")[0][:40]
    return first if first.isprintable() and first else UNKNOWN


async def label_all(user_agents: Iterable[str]) -> dict[str, Sentence]:
    """Return the name of each, in slices: parsing thousands of random User-Agents takes seconds."""
    names, slices = dict[str, Sentence](), Slices()
    for user_agent in set(user_agents):
        names[user_agent] = label(user_agent)
        await slices.pause()
    return names
