"""The text and the cells of a CSV file, as spreadsheets save it.

Accepted are UTF-8 with or without a byte order mark, UTF-16, and Windows-1252, which Excel writes by default in Western
Europe; commas, semicolons and tabs; quoted line breaks; and the columns in any order, in upper or lower case, and under
the names that they have in some other languages.

The file may be hostile, so lines, cells and the header have maximum sizes. Rows are yielded one by one, so that the
caller can pause in between.
"""

from __future__ import annotations

import csv
import io
import unicodedata
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from gateway.model.sentence import Sentence
from gateway.web.spreadsheets import unguard

REQUIRED = ("email", "name", "department", "role")
OPTIONAL = ("tenant", "password_hash")
OTHER_NAMES: Mapping[str, str] = {  # without spaces, hyphens and accents
    "email": "emailaddress mail emailadresse adressemail adresseemail courriel correo correoelectronico emailadres"
    " indirizzoemail postaelettronica adresemail endereoemail enderecoemail",
    "name": "fullname displayname vollername vollstandigername nom nomcomplet nombre nombrecompleto nome nomecompleto"
    " nomeecognome naam volledigenaam imieinazwisko",
    "department": "dept abteilung departement service departamento reparto dipartimento afdeling dzial",
    "role": "rolle rol ruolo rola funcao funcion",
    "tenant": "mandant",
    "password_hash": "",
}
SEPARATORS = (",", ";", "\t")
SEPARATOR_LINE = "sep="  # Excel's own first line
DECLARED = (*SEPARATORS, "|")  # that it may name; a quote or a NUL would be written into other files
MAX_ROW = 20_000  # characters, over all of its lines
MAX_COLUMNS = 200
MAX_NAME = 60  # characters of a column's name or a department that are compared
LINES_PER_ROW = 4  # on average at most, with blank lines and cells that contain line breaks
WORKBOOK = b"PK\x03\x04"  # a ZIP archive, which an Excel or LibreOffice file is
NOT_CSV = Sentence("the file isn’t UTF-8. In Excel, save it as “CSV UTF-8”")
Row = tuple[int, Mapping[str, str]]  # its number, as spreadsheets count, and its cells


class UnreadableFile(ValueError):
    """The file is not a CSV file of accounts; `sentence` says why."""

    def __init__(self, sentence: Sentence) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class Encoding(StrEnum):
    UTF_8 = "utf-8"
    UTF_16 = "utf-16"
    WINDOWS = "windows-1252"  # a guess: any text that isn't UTF-8 can be read like this


@dataclass(frozen=True, slots=True)
class Text:
    """The text of a file, and what stands between its cells."""

    text: str
    encoding: Encoding
    separator: str


def read_text(content: bytes) -> Text:
    """Decode a file, and find its separator. Raises UnreadableFile if it is no text."""
    text, encoding = decode(content)
    first, _, rest = text.partition("\n")
    declared = first.removesuffix("\r")[len(SEPARATOR_LINE) :]
    if first[: len(SEPARATOR_LINE)].lower() == SEPARATOR_LINE and declared in DECLARED:
        return Text(rest, encoding, declared)
    header = first[:MAX_ROW]
    return Text(text, encoding, max(SEPARATORS, key=header.count))


def decode(content: bytes) -> tuple[str, Encoding]:
    """Raises UnreadableFile. Without a byte order mark, UTF-16 shows in a zero beside the first letter."""
    try:
        if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
            return content.decode("utf-16"), Encoding.UTF_16
        if 0 in content[:2]:
            return content.decode("utf-16-be" if content[0] == 0 else "utf-16-le"), Encoding.UTF_16
        if content.startswith(WORKBOOK):
            raise UnreadableFile(NOT_CSV)
        try:
            return content.decode("utf-8-sig"), Encoding.UTF_8
        except UnicodeDecodeError:
            return content.decode("cp1252"), Encoding.WINDOWS
    except UnicodeDecodeError as error:
        raise UnreadableFile(NOT_CSV) from error


def read_rows(file: Text, max_rows: int | None = None) -> Iterator[Row]:
    """Yield each row with its cells by column name; unknown columns and empty rows are left out.

    Raises UnreadableFile, perhaps after some rows, if the header lacks a column, a row is longer than MAX_ROW, or there
    are more than `max_rows`.
    """
    lines = Lines(file.text, None if max_rows is None else (max_rows + 1) * LINES_PER_ROW)
    reader = csv.reader(lines, delimiter=file.separator)
    count, number = 0, 1
    try:
        places = places_of(next(reader, []))
        lines.begin_row()
        for cells in reader:
            lines.begin_row()
            number += 1
            row = {name: plain(cells[at]) if at < len(cells) else "" for name, at in places.items()}
            if any(row.values()):
                count += 1
                if max_rows is not None and count > max_rows:
                    raise UnreadableFile(
                        Sentence(
                            "the file has too many rows. Split it into files with at most {rows} rows", rows=max_rows
                        )
                    )
                yield number, row
    except csv.Error as error:
        raise UnreadableFile(
            Sentence("line {line} isn’t a valid CSV row: {error}", line=reader.line_num + 1, error=error)
        ) from error


def plain(cell: str) -> str:
    """Return a cell without the spaces around it, and without the apostrophes that keep it from being a formula."""
    return unguard(cell.strip())


class Lines:
    """The lines of a text, with a maximum row length: csv.reader would parse a row of any length in one step."""

    def __init__(self, text: str, max_lines: int | None) -> None:
        self._file = io.StringIO(text, newline="")
        self._max_lines = max_lines
        self._count = 0
        self._length = 0  # of the current row, in characters

    def begin_row(self) -> None:
        self._length = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._file.readline(MAX_ROW + 1)
        if not line:
            raise StopIteration
        self._count += 1
        self._length += len(line)
        if self._length > MAX_ROW:
            raise UnreadableFile(
                Sentence(
                    "line {line} isn’t a valid CSV row: it is longer than {most} characters",
                    line=self._count,
                    most=MAX_ROW,
                )
            )
        if self._max_lines is not None and self._count > self._max_lines:
            raise UnreadableFile(
                Sentence("the file has more than {lines} lines; split it into several", lines=self._max_lines)
            )
        return line


def places_of(header: list[str]) -> Mapping[str, int]:
    """Map our columns to their indexes. Raises UnreadableFile if one is missing or repeated."""
    if len(header) > MAX_COLUMNS:
        raise UnreadableFile(Sentence("the first line names more than {columns} columns", columns=MAX_COLUMNS))
    exact, loose = [name.strip().lower() for name in header], [squeeze(name) for name in header]
    places = {}
    for name in (*REQUIRED, *OPTIONAL):
        others = {squeeze(name), *OTHER_NAMES[name].split()}
        found = [at for at, given in enumerate(exact) if given == name]
        found = found or [at for at, given in enumerate(loose) if given in others]
        if len(found) > 1:
            raise UnreadableFile(Sentence("the first line names the column {column} twice", column=name))
        if found:
            places[name] = found[0]
    missing = [name for name in REQUIRED if name not in places]
    if missing:
        raise UnreadableFile(
            Sentence(
                "the first line must name the columns {columns}, with commas or semicolons between them; "
                "{missing} is missing",
                columns=", ".join(REQUIRED),
                missing=missing[0],
            )
        )
    return places


def squeeze(text: str) -> str:
    """Return a text in lower case, with its letters and digits only, and without their accents.

    Two names with the same result differ in how they are written, and not in what they say.
    """
    plain_letters = unicodedata.normalize("NFKD", text[:MAX_NAME].casefold()).replace("ł", "l")
    return "".join(letter for letter in plain_letters if letter.isalnum())
