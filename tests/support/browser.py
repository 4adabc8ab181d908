"""Chromium, as journeys start it.

Most of them need the engine alone. Debian packages it as the headless shell, which takes half the processor time of the
browser with its windows. What a browser does around its pages (history, storage, downloads) is tested in the whole one.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
from collections.abc import Iterable, Iterator

from playwright.sync_api import Browser, Playwright, expect, sync_playwright

WHOLE = "/usr/bin/chromium"
SHELL = "/usr/bin/chromium-headless-shell"
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--ignore-certificate-errors",
    "--renderer-process-limit=1",  # of each profile, for which Chromium would start two, and end one unused
    "--js-flags=--no-opt --no-maglev",  # a page is gone before it has gained from its scripts being optimised
)  # fmt: skip
NO_FRAMES = "--disable-threaded-compositing"
LIMIT = 100_000  # milliseconds; only for what never comes: a machine may be slow, or do other things as well

expect.set_options(timeout=LIMIT)


@contextlib.contextmanager
def chromium(
    program: str, port: int = 0, hosts: Iterable[str] = ("app.example.com",), *, is_drawn: bool = True
) -> Iterator[Browser]:
    """Yield a browser for which the `hosts` are on `port` of loopback, with TLS. Playwright keeps an event loop running.

    Not drawn, pages have styles and a layout, but no frames, which take a third of the time: nothing moves, a click has
    to be forced because Playwright would wait for frames, and `autofocus` does nothing.
    """
    rules = ", ".join(f"MAP {host}:443 127.0.0.1:{port}" for host in hosts)
    names = [f"--host-resolver-rules={rules}"] if port else []
    with driving() as playwright:
        running = playwright.chromium.launch(
            executable_path=program, args=[*FLAGS, *names, *([] if is_drawn else [NO_FRAMES])]
        )
        running.on("context", lambda context: context.set_default_timeout(LIMIT))
        yield running
        running.close()


@contextlib.contextmanager
def driving() -> Iterator[Playwright]:
    """Yield this process's Playwright, which takes a second of a core to start. Its event loop runs until the block ends.

    Between two blocks the loop is only interrupted, and tests with loops of their own may run.
    """
    before = asyncio._get_running_loop()
    playwright, loop = start()
    asyncio._set_running_loop(loop)
    try:
        yield playwright
    finally:
        asyncio._set_running_loop(before)


@functools.cache
def start() -> tuple[Playwright, asyncio.AbstractEventLoop]:
    playwright = sync_playwright().start()
    loop = asyncio.get_running_loop()

    def stop() -> None:
        asyncio._set_running_loop(loop)
        playwright.stop()

    atexit.register(stop)
    return playwright, loop
