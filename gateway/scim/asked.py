"""What a request asks for: the parts of its URL, and the JSON of its body."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, TypeVarTuple

from aiohttp import web

from gateway.scim import filters
from gateway.scim.answers import Refusal
from gateway.scim.filters import Condition
from gateway.scim.patching import Shape
from gateway.scim.shapes import GROUP, USER, Choice
from gateway.throttle.side_work import SideWork

MAX_BYTES = {USER.name: 65_536, GROUP.name: 1_048_576}
BESIDE = 16_384  # bytes: longer JSON is read and written beside the event loop
DEFAULT_COUNT, MAX_COUNT = 100, 200

Given = TypeVarTuple("Given")
Result = TypeVar("Result")


class Body(NamedTuple):
    """The JSON of a request; `size` is in bytes."""

    size: int
    content: dict[str, Any]


BODY = web.RequestKey("body", Body)


class Bodies:
    """Reads the bodies of requests. `side` is for what would hold the event loop."""

    def __init__(self, side: SideWork) -> None:
        self._side = side

    async def read(self, request: web.Request, shape: Shape) -> Body:
        """Return the JSON object of a body. It is read once, also if the work has to be done again."""
        if BODY not in request:
            request[BODY] = await self._read(request, shape)
        return request[BODY]

    async def _read(self, request: web.Request, shape: Shape) -> Body:
        media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if media_type not in ("application/scim+json", "application/json"):
            raise Refusal(415, "the body must be application/scim+json")
        most = MAX_BYTES[shape.name]
        try:
            body = await request.clone(client_max_size=most).read()
        except web.HTTPRequestEntityTooLarge:
            raise Refusal(413, f"a body has at most {most} bytes", reason="too_large") from None
        try:
            read = await self.think(len(body), json.loads, body)
        except (ValueError, RecursionError):
            read = None
        if not isinstance(read, dict):
            raise Refusal(400, "the body must be a JSON object", "invalidSyntax")
        return Body(len(body), read)

    async def think(self, size: int, work: Callable[[*Given], Result], *given: *Given) -> Result:
        """Do work with something of `size` bytes; beside the event loop, if that would take long."""
        return work(*given) if size <= BESIDE else await self._side.run(work, *given)


def page_of(request: web.Request) -> str:
    """Return the route's pattern, for the audit log."""
    resource = request.match_info.route.resource
    return resource.canonical.rpartition("/v2")[2] if resource else ""


def id_of(request: web.Request) -> str:
    return request.match_info["id"].replace("\0", "")


def conditions_of(request: web.Request, shape: Shape) -> list[Condition]:
    text = request.query.get("filter", "")
    return filters.read(text, shape.schema) if text else []


def choice_of(request: web.Request, shape: Shape) -> Choice:
    return Choice(shape, request.query.get("attributes", ""), request.query.get("excludedAttributes", ""))


def page_asked(request: web.Request) -> tuple[int, int]:
    """Return the number of the first resource (from 1), and how many are wanted (RFC 7644 §3.4.2.4)."""
    start, count = (read_number(request, *asked) for asked in (("startIndex", 1), ("count", DEFAULT_COUNT)))
    return max(1, start), min(max(0, count), MAX_COUNT)


def read_number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if len(text) > 9 or not text.removeprefix("-").isdecimal() or not text.isascii():
        raise Refusal(400, f"{name} must be a number", "invalidValue")
    return int(text)
