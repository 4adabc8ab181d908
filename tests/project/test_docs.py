"""The handbook and the code agree on what is where."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
NAMED = re.compile(r"`((?:[\w-]+/)+(?:[\w.-]+\.\w+)?)`")
ELSEWHERE = ("bench/", "config/", "docs/", "systemd/", "templates/", "tests/", "gateway/", "bin/")


@pytest.mark.parametrize(("document", "least"), [("architecture", 80), ("capabilities", 80), ("decisions", 5)])
def test_every_file_that_the_documents_name_is_there(document: str, least: int) -> None:
    text = (ROOT / f"docs/{document}.md").read_text("utf-8")
    names = sorted({name for name in NAMED.findall(text) if "NOUN" not in name})
    assert len(names) > least
    assert [name for name in names if not place_of(name).exists()] == []


def place_of(name: str) -> Path:
    return ROOT / name if name.startswith(ELSEWHERE) else ROOT / "gateway" / name
