"""What renders the pages, with a brand that needs escaping."""

from __future__ import annotations

import pytest

from gateway.app.factors import NAMES
from gateway.app.nouns import ROUTES
from gateway.languages.reader import Readers
from gateway.settings.record import Pages, Settings
from gateway.web.navigation import Navigation
from gateway.web.rendering import Renderer
from gateway.web.routes import Urls

BUSY_SECONDS = 23


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    brand = Pages(product="Ötium & <b>Work</b>", support="help@acme.example", accent="#ffcc00")
    return make_renderer(brand, is_https=True)


def make_renderer(brand: Pages, is_https: bool) -> Renderer:
    return Renderer(
        brand,
        Urls(ROUTES, Settings()),
        Navigation(ROUTES, Settings()),
        Readers(),
        is_https=is_https,
        version="1",
        factor_names=NAMES,
        busy_seconds=lambda: BUSY_SECONDS,
    )
