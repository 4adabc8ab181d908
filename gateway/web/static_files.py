"""Stylesheets and scripts of the pages, read into memory at start-up, and sent compressed to who accepts that.

Pages themselves are not compressed: their length would tell of the secrets in them, beside what a stranger put there.
"""

from __future__ import annotations

import gzip
import mimetypes
import re
from hashlib import sha256
from typing import Protocol

from aiohttp import web
from werkzeug.datastructures import Accept
from werkzeug.http import parse_accept_header

from gateway.policy.decision import Need
from gateway.settings.places import TEMPLATES
from gateway.web.contrast import readable_on
from gateway.web.routes import Pages, Route
from gateway.web.visit import visit_of

COMMENT, BLANKS = re.compile(r"/\*.*?\*/", re.DOTALL), re.compile(r"\s*([{};\n])\s*")
CACHE = {"Cache-Control": "public, max-age=86400", "Vary": "Accept-Encoding"}
BRAND = """:root {{
  --accent: {accent};
  --on-accent: {ink};
}}
"""


class StaticFiles:
    """`accent` (#rrggbb) is a setting. It stands at the top of the stylesheet, as the CSP forbids inline styles."""

    def __init__(self, accent: str) -> None:
        self._files = {path.name: (path.read_bytes(), type_of(path.name)) for path in (TEMPLATES / "static").iterdir()}
        brand = BRAND.format(accent=accent, ink=readable_on(accent))
        style, kind = self._files["gateway.css"]
        self._files["gateway.css"] = (slim(brand + style.decode()).encode(), kind)
        self._compressed = {name: gzip.compress(content, mtime=0) for name, (content, _) in self._files.items()}

    @property
    def version(self) -> str:
        """A hash of all files, appended to their URLs so that browsers don't use outdated ones."""
        contents = (self._files[name][0] for name in sorted(self._files))
        return sha256(b"".join(contents)).hexdigest()[:12]

    def text(self, name: str) -> str:
        """Return a stylesheet or script."""
        return self._files[name][0].decode()

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /_gateway/static/{name}. Served from memory, so there is no path traversal."""
        name, accepted = request.match_info["name"], visit_of(request).inbound.value(b"accept-encoding") or b""
        if name not in self._files:
            raise web.HTTPNotFound
        (content, content_type), headers = self._files[name], CACHE
        if parse_accept_header(accepted.decode("latin-1"), Accept).quality("gzip"):
            content, headers = self._compressed[name], {**CACHE, "Content-Encoding": "gzip"}
        return web.Response(body=content, content_type=content_type, charset="utf-8", headers=headers)


def slim(style: str) -> str:
    """Return a stylesheet without comments, and without the space that only people need: a quarter of it."""
    return BLANKS.sub(r"\1", COMMENT.sub("", style)).strip()


def type_of(name: str) -> str:
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


class Needs(Protocol):
    @property
    def static_files(self) -> StaticFiles: ...


def find_files(needs: Needs) -> StaticFiles:
    return needs.static_files


STATIC = Pages(
    find_files,
    Route(
        "static", "/_gateway/static/{name}", Need.NOBODY, get=StaticFiles.show, is_dead_end=True, is_needed=True
    ),
)  # fmt: skip
PAGES = (STATIC,)
