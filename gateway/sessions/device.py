"""How a device is called: the browser and system that it says it is."""

from __future__ import annotations

from functools import lru_cache

from user_agents import parse

MAX_READ = 512  # characters
UNKNOWN = "Unknown browser"


@lru_cache(2_048)
def label(user_agent: str) -> str:
    """Return a name like "Chrome on Windows". What is no browser's is called by its first word."""
    agent = parse(user_agent[:MAX_READ])
    browser, system = agent.browser.family, agent.os.family
    if browser == "Other":
        first = user_agent.split("/")[0].split(" ")[0][:40]
        browser = first if first.isprintable() and first else UNKNOWN
    return browser if system == "Other" else f"{browser} on {system}"
