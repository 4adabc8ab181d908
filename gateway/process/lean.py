"""Imports libraries without the parts that they import on their own, and that workers never use.

Every worker would pay for them (see "Memory" in bench/README.md).
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator
from types import ModuleType

# By library, what is left out. Each can still be imported by its own name.
UNUSED = {
    "sqlalchemy.ext.asyncio": ("sqlalchemy.ext.asyncio.session", "sqlalchemy.ext.asyncio.scoping"),  # the ORM: 6 MB
    "aiohttp": (  # its client: 4 MB, of which 1.7 are certificate authorities
        "aiohttp.client",
        "aiohttp.client_middleware_digest_auth",
        "aiohttp.client_middlewares",
        "aiohttp.connector",
        "aiohttp.cookiejar",
        "aiohttp.resolver",
        "aiohttp.tracing",
    ),
    "aiohttp.web": ("argparse",),
    "werkzeug": ("werkzeug.serving", "werkzeug.test", "werkzeug.wrappers"),  # its development server: 2.6 MB
}


class Unused(ModuleType):
    """Stands in for a module while a library is imported. Every name in it is None."""

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)


def import_lean() -> None:
    """Import these libraries, if they are not imported yet. To be called before anything that imports them."""
    for library, unused in UNUSED.items():
        with left_out(unused):
            importlib.import_module(library)


@contextlib.contextmanager
def left_out(modules: tuple[str, ...]) -> Iterator[None]:
    absent = [name for name in modules if name not in sys.modules]
    sys.modules.update({name: Unused(name) for name in absent})
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]
