"""Chromium, as journeys start it.

Most of them need the engine alone. Debian packages it as the headless shell, which takes half the processor time of the
browser with its windows. What a browser does around its pages (history, storage, downloads) is tested in the whole one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

from playwright.sync_api import Browser, sync_playwright

WHOLE = "/usr/bin/chromium"
SHELL = "/usr/bin/chromium-headless-shell"
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--ignore-certificate-errors",
)  # fmt: skip


@contextlib.contextmanager
def chromium(program: str, port: int = 0, hosts: Iterable[str] = ("app.example.com",)) -> Iterator[Browser]:
    """Run a browser for which the `hosts` are on `port` of loopback, with TLS. Playwright keeps an event loop running."""
    rules = ", ".join(f"MAP {host}:443 127.0.0.1:{port}" for host in hosts)
    names = [f"--host-resolver-rules={rules}"] if port else []
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=[*FLAGS, *names])
        yield running
        running.close()
