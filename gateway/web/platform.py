"""The dependencies that all page classes share."""

from __future__ import annotations

from typing import Protocol

from gateway.web.rendering import Renderer
from gateway.web.routes import Urls


class Platform(Protocol):
    @property
    def renderer(self) -> Renderer: ...
    @property
    def url(self) -> Urls: ...
