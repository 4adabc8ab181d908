"""What people are shown can be translated: it is in the catalogue, or it is no text."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from gateway.accounts.csv_import.reading import MAX_CELL, judge
from gateway.languages.reader import translate
from gateway.model.account import Role
from gateway.model.sentence import Sentence

ROOT = Path(__file__).parent.parent.parent
CATALOGUE = ROOT / "gateway/locale/otium_gateway.pot"
TEMPLATES = sorted(
    path
    for folder in ("templates", "gateway/factors")
    for ending in ("html", "txt")
    for path in (ROOT / folder).rglob(f"*.{ending}")
)
TRANSLATED = re.compile(r"\{%-?\s*trans\b.*?endtrans\s*-?%\}", re.DOTALL)
LOGIC = re.compile(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)
LETTERS = re.compile(r"[^\W\d_]{2}")
SPOKEN = frozenset(("alt", "title", "aria-label", "placeholder", "data-label"))
CODE = frozenset(("code", "kbd", "pre", "samp", "script", "style"))
EXAMPLES = frozenset(("ABCDE-FGHJK", "ABCD-EFGH", "acme.example"))  # of what is typed, the same in every language


class Bare(HTMLParser):
    """Collects the words that stand in a template as they are."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self._code = 0

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self._code += tag in CODE
        self.words += [text for name, text in attributes if name in SPOKEN and text and is_bare(text)]

    def handle_endtag(self, tag: str) -> None:
        self._code -= tag in CODE

    def handle_data(self, data: str) -> None:
        if not self._code and is_bare(data):
            self.words.append(data.strip())


def is_bare(text: str) -> bool:
    return bool(LETTERS.search(text)) and text not in EXAMPLES


PLURAL = re.compile(
    r'{%-?\s*trans\s+(?:"[^"]*"\s*)?(\w+)?[^%]*%}(?:(?!endtrans).)*?{%-?\s*pluralize\s*(\w*)\s*-?%}', re.DOTALL
)
NUMBERS = {"count", "n", "number", "minutes", "minutes_left", "days", "seconds", "ended"}


def bare_words(template: str) -> list[str]:
    found = Bare()
    found.feed(LOGIC.sub("", TRANSLATED.sub("", template)))
    return found.words


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_template_has_words_outside_trans(path: Path) -> None:
    assert bare_words(path.read_text("utf-8")) == []


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_plural_is_chosen_by_a_number(path: Path) -> None:
    """Jinja takes the first variable, whatever it is; a catalogue then fails where English would not."""
    chosen = [named or first for first, named in PLURAL.findall(path.read_text("utf-8"))]
    assert [name for name in chosen if name not in NUMBERS] == []


def test_words_outside_trans_are_found() -> None:
    template = '<p title="Tip">{% trans %}Yes{% endtrans %} {{ name }} no</p><code>no</code>'
    assert bare_words(template) == ["Tip", "no"]


def test_every_text_is_in_the_catalogue(tmp_path: Path) -> None:
    """`make messages` after a text has changed."""
    file = tmp_path / "now.pot"
    subprocess.run(
        [sys.executable, "-m", "babel.messages.frontend", "-q", "extract", "-F", "babel.cfg", "-k", "Sentence",
         "--no-location", "--project", "otium-gateway", "-o", str(file), "."],
        cwd=ROOT, check=True,
    )  # fmt: skip
    assert body(file) == body(CATALOGUE)


def body(catalogue: Path) -> str:
    return catalogue.read_text("utf-8").split("\n\n", 1)[1]


def test_a_page_shows_no_text_that_the_catalogue_can_not_have() -> None:
    assert translate(Sentence("Page not found.")) == "Page not found."
    assert translate(Sentence("line {line} is {state}", line=7, state="long")) == "line 7 is long"
    assert translate(Sentence()) == ""
    with pytest.raises(AttributeError):
        translate("A text from somewhere.")  # type: ignore[arg-type]


def refusals() -> Iterator[tuple[dict[str, str], str]]:
    row = {"email": "erin@acme.example", "name": "Erin", "role": "employee"}
    yield {**row, "name": "x" * (MAX_CELL + 1)}, f"{MAX_CELL:,}"
    yield {**row, "role": "boss"}, ", ".join(Role).replace(", admin", " or admin")


@pytest.mark.parametrize(("row", "said"), list(refusals()))
def test_a_sentence_that_the_store_keeps_names_what_holds(row: dict[str, str], said: str) -> None:
    """Such a sentence has no fields: they could not be told from it again."""
    refusal = judge(1, row)
    assert said in str(refusal.reason)  # type: ignore[union-attr]
