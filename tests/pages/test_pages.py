"""What pages are made of: messages, colours, tickets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.inbound import Inbound
from gateway.settings.record import Pages
from gateway.web.application import MAX_WAITING, Desk
from gateway.web.contrast import readable_on, relative_luminance
from gateway.web.rendering import Renderer
from gateway.web.templates import is_mail
from gateway.web.visit import Visit
from gateway.wire.failures import Failure
from tests.pages.conftest import BUSY_SECONDS, make_renderer

ROOT = Path(__file__).parent.parent.parent


def visit() -> Visit:
    inbound = Inbound(
        "GET", b"/", ("/",), "x", "", False, "r", None, None, (), [], frozenset(), {}, 0, True, True, False, False
    )
    return Visit(inbound, None, 0)


@pytest.mark.parametrize(
    ("hsts", "is_https", "said"),
    [
        ("host", True, "max-age=63072000"),
        ("subdomains", True, "max-age=63072000; includeSubDomains"),
        ("off", True, None),
        ("subdomains", False, None),
    ],
)
def test_browsers_are_told_to_insist_on_https_as_set(hsts: str, is_https: bool, said: str | None) -> None:
    assert make_renderer(Pages(hsts=hsts), is_https).headers.get("Strict-Transport-Security") == said  # type: ignore[arg-type]


def test_one_word_stands_for_one_action() -> None:
    """People sign in and out here; they never log in, on, out or off. Providers' consoles have fields of that name."""
    texts = (ROOT / "gateway/locale/otium_gateway.pot").read_text().replace('"\n"', "")
    texts = re.sub(r"<b>[^<]*</b>|\blogout URL\b", "", texts, flags=re.IGNORECASE)
    assert re.findall(r"\blog(?:ged|ging)?[ -]?(?:in|on|out|off)\b", texts, re.IGNORECASE) == []


@pytest.mark.parametrize("failure", Failure)
def test_every_failure_has_a_page_with_one_sentence_and_the_reference(renderer: Renderer, failure: Failure) -> None:
    page = renderer.failure_page(failure, "ref-<1>").decode()
    assert "ref-&lt;1&gt;" in page
    assert page.count("<h1>") == 1
    assert "<b>Work</b>" not in page
    assert "help@acme.example" in page


TEMPLATES = (ROOT / "templates", ROOT / "gateway/factors")


def templates_in(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield each template of a folder with its name."""
    return ((str(file.relative_to(folder)), file) for file in folder.rglob("*.html"))


def test_every_template_is_named_where_it_is_used_and_every_named_one_exists() -> None:
    templates = {name: file for folder in TEMPLATES for name, file in templates_in(folder)}
    sources = [
        *templates.values(),
        *(file for file in (ROOT / "gateway").rglob("*.py") if "demo" not in file.parts),
    ]
    named = {name for file in sources for name in re.findall(r'"([\w-]+/[\w-]+\.html)"', file.read_text())}
    assert len(named) > 40
    assert named <= set(templates)
    assert {name for name in templates if not is_mail(name)} <= named


def test_pages_load_nothing_from_elsewhere_and_hold_no_script_or_style_of_their_own() -> None:
    files = [file for folder in TEMPLATES for name, file in templates_in(folder) if not is_mail(name)]
    assert len(files) > 40
    for file in files:
        text = file.read_text()
        assert not re.search(r"<script(?! src=)|<style|\son\w+=|style=|https?://", text), file.name


@given(st.from_regex(r"#[0-9a-f]{6}", fullmatch=True))
def test_text_on_any_brand_colour_can_be_read(colour: str) -> None:
    """At least 4.5 to 1, WCAG 2.2 success criterion 1.4.3."""
    one, two = relative_luminance(colour), relative_luminance(readable_on(colour))
    assert (max(one, two) + 0.05) / (min(one, two) + 0.05) >= 4.5


def test_a_ticket_is_good_once() -> None:
    desk, seen = Desk(), visit()
    ticket = desk.hand_over(seen).decode()
    assert desk.take(ticket) is seen
    assert desk.take(ticket) is None
    assert desk.take("") is None


def test_tickets_of_clients_that_left_do_not_pile_up() -> None:
    desk = Desk()
    first = desk.hand_over(visit()).decode()
    for _ in range(MAX_WAITING):
        desk.hand_over(visit())
    assert desk.take(first) is None


@pytest.mark.parametrize(
    ("status", "wait", "said"),
    [(200, 0, None), (422, 0, None), (429, 70, "70"), (429, 0, str(BUSY_SECONDS)), (503, 0, str(BUSY_SECONDS))],
)
def test_whoever_is_told_to_come_later_is_told_when(
    renderer: Renderer, status: int, wait: int, said: str | None
) -> None:
    page = renderer.page("login/logout.html", visit(), status=status, wait=wait, name="Erin")
    assert page.headers.get("Retry-After") == said


def test_a_busy_sign_in_says_when_to_try_again(renderer: Renderer) -> None:
    refused = renderer.failure(Failure.SIGN_IN_BUSY, "ref-1")
    assert (refused.status, refused.headers["Retry-After"]) == (503, str(BUSY_SECONDS))
    assert f"Please try again in about {BUSY_SECONDS} seconds." in str(refused.body, "utf-8")  # type: ignore[arg-type]
