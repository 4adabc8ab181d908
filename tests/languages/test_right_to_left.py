"""A language that runs from right to left: the page says so, and its dates keep their order."""

from __future__ import annotations

from gateway.languages.reader import Readers, written_for
from gateway.settings.record import Pages
from gateway.web.rendering import Renderer
from gateway.wire.failures import Failure
from tests.pages.conftest import make_renderer


def page_in(code: str) -> str:
    renderer: Renderer = make_renderer(Pages(), is_https=True)
    with written_for(Readers(code).default):
        return renderer.failure_page(Failure.NOT_FOUND, "ref").decode()


def test_the_direction_of_a_page_is_that_of_its_language() -> None:
    assert '<html lang="ar-XB" dir="rtl">' in page_in("ar-XB")
    assert '<html lang="pl">' in page_in("pl")
