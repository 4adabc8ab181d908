"""The preview of the branding: files that show in a browser what the pages will look like, and numbers that are true."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from gateway.settings.places import TEMPLATES
from gateway.web.contrast import measure, ratio
from tests.support.browser import SHELL, chromium
from tests.support.gateway import Gateway

ACCENT, LOGO = "#b3246a", "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
PAGES = {
    "PAGES__PRODUCT": '"Kettle & Co"', "PAGES__ACCENT": f'"{ACCENT}"', "PAGES__LOGO": f'"{LOGO}"',
    "PAGES__SUPPORT": '"help@kettle.example"',
}  # fmt: skip
# The colour that a browser mixes, as red, green and blue, and that of the surface below it.
COLOURS = """
(() => {
  const context = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
  const read = colour => {
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    return "#" + [...context.getImageData(0, 0, 1, 1).data.slice(0, 3)].map(c => c.toString(16).padStart(2, "0")).join("");
  };
  const link = getComputedStyle(document.querySelector(".links .link, .links a"));
  return [read(link.color), read(getComputedStyle(document.querySelector(".card")).backgroundColor)];
})()
"""


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Gateway:
    return Gateway(tmp_path_factory.mktemp("branded"), "127.0.0.1:1", changes=PAGES)


@pytest.fixture(scope="module")
def folder(shell: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("preview") / "new"
    done = shell.cli("branding", "preview", str(folder))
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f"open {folder / 'index.html'}\n")
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium(SHELL, 1) as running:
        yield running


def test_every_page_is_there_twice_with_product_colour_logo_and_support(folder: Path) -> None:
    files = [
        folder / scheme / f"{name}.html" for scheme in ("light", "dark") for name in ("sign-in", "failure", "email")
    ]
    for file in files:
        text = file.read_text()
        assert "Kettle &amp; Co" in text
        assert "help@kettle.example" in text
        assert (ACCENT if file.stem == "email" else LOGO) in text
        assert "prefers-color-scheme" not in text
        assert "/_gateway/" not in text
    assert len(files) == 6
    assert "Kettle &amp; Co" in (folder / "index.html").read_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_scheme_is_shown_whatever_the_browser_prefers_and_its_contrast_is_what_was_said(
    folder: Path, browser: Browser, scheme: str
) -> None:
    expected = next(each for each in measure(ACCENT, css()) if (each.scheme, each.text) == (scheme, "links on cards"))
    seen = set()
    for prefers in ("light", "dark"):
        page = browser.new_page(color_scheme=prefers)  # type: ignore[arg-type]
        page.goto((folder / scheme / "sign-in.html").as_uri())
        seen.add(tuple(page.evaluate(COLOURS)))
        page.close()
    ((link, card),) = seen
    assert ratio(link, card) == pytest.approx(expected.ratio, rel=0.01)


def test_the_index_shows_all_six_and_loads_nothing_from_elsewhere(folder: Path, browser: Browser) -> None:
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((folder / "index.html").as_uri())
    page.wait_for_load_state("networkidle")
    shown = [frame.evaluate("getComputedStyle(document.body).backgroundColor") for frame in page.frames[1:]]
    light, dark, in_mail = "rgb(245, 246, 248)", "rgb(14, 17, 22)", "rgb(14, 17, 22)"
    assert shown == [light, dark, light, dark, light, in_mail]
    assert {url.partition(":")[0] for url in asked} <= {"file", "data"}
    page.close()


def test_a_logo_of_the_site_is_loaded_from_there_and_an_accent_without_contrast_is_said(tmp_path: Path) -> None:
    changes = {"PAGES__LOGO": '"/static/logo.svg"', "PAGES__ACCENT": '"#ffd400"'}
    shell = Gateway(tmp_path, "127.0.0.1:1", changes=changes)
    said = shell.cli("branding", "preview", str(tmp_path / "new")).stdout
    assert re.search(r"light +links on cards +2\.0 to 1  too low: below 4\.5, choose another accent\n", said)
    assert f"the logo is loaded from {shell.public_url}/static/logo.svg\n" in said
    assert f'<img src="{shell.public_url}/static/logo.svg"' in (tmp_path / "new/light/sign-in.html").read_text()


def test_nothing_is_written_into_a_folder_with_files(shell: Gateway, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("mine")
    done = shell.cli("branding", "preview", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.endswith(f"{tmp_path} is there already; name a new or an empty folder\n")
    assert [file.name for file in tmp_path.iterdir()] == ["index.html"]


def css() -> str:
    return (TEMPLATES / "static" / "gateway.css").read_text()
