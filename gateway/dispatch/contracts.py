"""The interfaces that the dispatcher calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gateway.model.inbound import Inbound
from gateway.model.session import Session

Note = Callable[[Session, Inbound, int], None]


@dataclass(frozen=True, slots=True)
class Notes:
    """`token` is told of each request with an API token, `outside` of each that is refused because of its network."""

    token: Note
    outside: Note


class FramedPage(Protocol):
    """Makes a page with a link to `address`, to be shown in a frame (see Renderer.framed_page)."""

    def __call__(self, inbound: Inbound, address: str, *, is_lost: bool) -> tuple[list[bytes], bytes]: ...
