"""The page that shows new backup codes, once: to be copied, kept as a file, or printed.

The file is in the page itself, as a link with a data URL. So the codes are sent once, and need no script. A form that
has the file sent back would send them twice more, and a page with the file of its own would need them in the store.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from aiohttp import web

from gateway.model.secret import Secret
from gateway.web.rendering import Renderer
from gateway.web.routes import Urls
from gateway.web.visit import Visit

UNSAFE = re.compile(r"[^A-Za-z0-9@._-]+")  # in names of files
MAX_FILE_NAME = 120  # characters


def show_codes(
    renderer: Renderer, url: Urls, visit: Visit, codes: Sequence[Secret[str]], *, account: str, target: str
) -> web.Response:
    """Show the new codes of `account` (an identifier), with a button that leads to `target`."""
    return renderer.page(
        "login/codes.html",
        visit if visit.signed_in else None,
        codes=codes,
        site=url.site,
        account=account,
        at=visit.now,
        target=target,
        file=file_name(url.site, account),
    )


def file_name(site: str, account: str) -> str:
    """Return a name that tells the files of several sites and accounts apart, and is safe on every system."""
    host = urlsplit(site).hostname or ""
    return f"{UNSAFE.sub('-', f'backup-codes-{host}-{account}')[:MAX_FILE_NAME]}.txt"
