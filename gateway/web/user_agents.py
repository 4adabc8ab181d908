"""How a device is called: the browser and system that it says it is.

Asked are ua-parser's lists of browsers and of systems. Its list of devices, by far the longest, is not.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from ua_parser import parse_os, parse_user_agent

from gateway.throttle.slices import Slices

MAX_READ = 200  # characters: all of a browser's, and no more than two milliseconds of anything else
UNKNOWN = "Unknown device"
# As people call them: ua-parser tells a browser's editions apart, and calls systems by their makers' names.
BROWSERS = {
    "Mobile Safari": "Safari",
    "Chrome Mobile": "Chrome",
    "Chrome Mobile iOS": "Chrome",
    "Edge Mobile": "Edge",
    "Firefox Mobile": "Firefox",
    "Firefox iOS": "Firefox",
}
SYSTEMS = {"Mac OS X": "Mac", "iOS": "iPhone"}


@lru_cache(2_048)
def label(user_agent: str) -> str:
    """Return a name like "Chrome on Windows". What is no browser's is called by its first word."""
    read = user_agent[:MAX_READ]
    browser, system = parse_user_agent(read), parse_os(read)
    name = BROWSERS.get(browser.family, browser.family) if browser else first_word(user_agent)
    return f"{name} on {name_of(system.family, read)}" if system else name


def name_of(system: str, user_agent: str) -> str:
    return "iPad" if system == "iOS" and "iPad" in user_agent else SYSTEMS.get(system, system)


def first_word(user_agent: str) -> str:
    first = user_agent.split("/")[0].split(" ")[0][:40]
    return first if first.isprintable() and first else UNKNOWN


async def label_all(user_agents: Iterable[str]) -> dict[str, str]:
    """Return the name of each, in slices: thousands of browsers that were made up take seconds."""
    names, slices = {}, Slices()
    for user_agent in set(user_agents):
        names[user_agent] = label(user_agent)
        await slices.pause()
    return names
