"""CSV files that spreadsheets open: no cell is a formula (CSV injection).

A spreadsheet runs a cell that begins with one of a few characters. Which character separates cells depends on its
language: where numbers have a decimal comma, it is the semicolon, also in a file whose cells are separated by commas.
So a text is guarded at its beginning, and after everything in it that may separate cells.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

_PLACE, _FORMULA = r"(?:^|(?<=[,;\t|\r\n]))", r'(?="*[=+\-@\t\r])'
UNGUARDED, GUARDED = re.compile(_PLACE + _FORMULA), re.compile(f"{_PLACE}'{_FORMULA}")


def guard(text: str) -> str:
    """Return a cell's text with an apostrophe before each formula that a spreadsheet could find in it."""
    return UNGUARDED.sub("'", text)


def unguard(text: str) -> str:
    """Return the text of a guarded cell."""
    return GUARDED.sub("", text)


def csv_lines(rows: Iterable[Sequence[str]], separator: str = ",") -> bytes:
    """Return rows of guarded cells as lines of a file, in UTF-8."""
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=separator).writerows(rows)
    return buffer.getvalue().encode()
