"""Files of people as spreadsheets save them, the sample, and the rows with mistakes on their way back."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gateway.accounts.csv_import.export import write_mistakes, write_sample
from gateway.accounts.csv_import.file import Encoding, Row, UnreadableFile, read_rows, read_text
from gateway.accounts.csv_import.importer import judge_file
from gateway.accounts.csv_import.reading import Create, Reject, find_known, judge, read_role
from gateway.accounts.csv_import.record import ImportRow, RowState
from gateway.languages.catalogue import OFFERED, Language
from gateway.model.account import Module, Role
from gateway.model.sentence import Sentence
from gateway.web.rendering import WORDS

ROW = {"email": "zoë@acme.example", "name": "Zoë Ünal", "department": "hr", "role": "manager"}
WRITTEN = "email,name,department,role\r\nzoë@acme.example,Zoë Ünal,hr,manager\r\n"
AS_SAVED = [
    WRITTEN.encode(),
    WRITTEN.encode("utf-8-sig"),
    WRITTEN.encode("utf-16"),
    WRITTEN.encode("utf-16-be"),
    WRITTEN.encode("utf-16-le"),
    WRITTEN.encode("cp1252"),
    WRITTEN.replace(",", ";").encode("cp1252"),
    WRITTEN.replace(",", "\t").encode("utf-16"),
    b"sep=;\r\n" + WRITTEN.replace(",", ";").encode(),
    WRITTEN.replace("\r\n", "\n").encode(),
    b"Role;E-Mail;Department;Comment;NAME\r\n" + "manager;zoë@acme.example;hr;x;Zoë Ünal\r\n".encode(),
    "Rolle;E-Mail-Adresse;Abteilung;Vollständiger Name\r\nmanager;zoë@acme.example;hr;Zoë Ünal".encode(),
    "Adresse e-mail;Nom complet;Département;Rôle\r\nzoë@acme.example;Zoë Ünal;hr;manager".encode(),
    "Correo electrónico;Nombre;Departamento;Rol\r\nzoë@acme.example;Zoë Ünal;hr;manager".encode(),
    "Imię i nazwisko;E-mail;Dział;Rola\r\nZoë Ünal;zoë@acme.example;hr;manager".encode(),
    WRITTEN.encode() + b",,,\r\n;\r\n\r\n ,,,\r\n".replace(b";\r\n", b""),
    WRITTEN.encode() + b"\r\n\r\n",
]


def rows_of(content: bytes) -> list[Row]:
    return list(read_rows(read_text(content)))


@pytest.mark.parametrize("content", AS_SAVED)
def test_a_file_is_read_as_a_spreadsheet_saved_it(content: bytes) -> None:
    [(number, row)] = rows_of(content)
    assert (number, row) == (2, ROW)


def test_a_file_that_is_no_utf_8_says_that_it_was_guessed() -> None:
    found = [read_text(content).encoding for content in AS_SAVED[:6]]
    assert found == [Encoding.UTF_8] * 2 + [Encoding.UTF_16] * 3 + [Encoding.WINDOWS]


@pytest.mark.parametrize("separator", ["\0", '"', "=", "'", "e", "\u2028"])
def test_a_file_can_not_choose_what_separates_the_cells_of_other_files(separator: str) -> None:
    """PostgreSQL stores no NUL, and a quote would separate what it quotes."""
    content = f"sep={separator}\n{separator.join(('email', 'name', 'department', 'role'))}\n{separator * 3}x\n"
    with pytest.raises(UnreadableFile, match="must name the columns"):
        judge_file(content.encode(), "acme", frozenset())


def test_rows_are_numbered_as_a_spreadsheet_does() -> None:
    content = b'email,name,department,role\na@x.example,"A\nB",,employee\n\nb@x.example,B,,employee\n'
    assert [number for number, _ in rows_of(content)] == [2, 4]


def test_a_column_by_its_own_name_comes_before_one_that_is_called_alike() -> None:
    [(_, row)] = rows_of(b"Mail,email,name,department,role\nold@x.example,new@x.example,A,,employee\n")
    assert row["email"] == "new@x.example"


@pytest.mark.parametrize(
    ("changed", "column", "said"),
    [
        ({"email": "zoe"}, "email", "Enter a valid email address"),
        ({"name": " "}, "name", "Enter a name"),
        ({"role": "amdin"}, "role", "Did you mean admin?"),
        ({"role": "boss"}, "role", "Use employee, manager or admin."),
        ({"tenant": "Acme Inc"}, "tenant", "lowercase"),
        ({"department": "x" * 1_001}, "department", "1,000 characters"),
    ],
)
def test_a_mistake_names_its_column_and_what_to_write(changed: dict[str, str], column: str, said: str) -> None:
    found = judge(2, {**ROW, **changed})
    assert isinstance(found, Reject)
    assert (found.column, said in found.reason) == (column, True)


def test_a_role_is_read_in_every_language_in_which_pages_name_it() -> None:
    for language in map(Language.of, OFFERED):
        for role in Role:
            word = language.messages.gettext(str(WORDS[role]))
            assert read_role(word) is role, (language.code, word)
    assert read_role("Mitarbeiterin") is Role.EMPLOYEE


def test_a_department_grants_its_access_in_every_language_in_which_pages_name_it_and_is_shown_for_review() -> None:
    for language in map(Language.of, OFFERED):
        for module in Module:
            word = language.messages.gettext(str(WORDS[module]))
            found = judge(2, {**ROW, "department": word})
            assert isinstance(found, Create)
            assert (found.modules, found.unknown_department, find_known(word)) == ({module}, "", module), word
            assert found.respelled == ("" if word == module else word)


@pytest.mark.parametrize(
    ("written", "known"),
    [("H R", Module.HR), ("h.r.", Module.HR), ("Finanace", Module.FINANCE), ("LEGAL ", Module.LEGAL), ("Sales", None)],
)
def test_a_department_that_is_nearly_a_known_one_is_pointed_out(written: str, known: Module | None) -> None:
    assert find_known(written) is known


@pytest.mark.parametrize("separator", [",", ";"])
@pytest.mark.parametrize("tenant", ["", "acme"])
def test_the_sample_is_imported_without_mistakes(separator: str, tenant: str) -> None:
    file = judge_file(write_sample(tenant, separator), None if tenant else "acme", frozenset())
    assert [(row.state, row.department, row.tenant) for row in file.rows] == [(RowState.WAITING, "", "acme")] * 3
    assert {row.modules for row in file.rows} == {"finance", "hr", ""}


async def batches(*rows: ImportRow) -> AsyncIterator[list[ImportRow]]:
    for row in rows:
        yield [row]


async def mistakes(content: bytes, tenant: str | None = "acme") -> bytes:
    file = judge_file(content, tenant, frozenset())
    refused = [row for row in file.rows if row.state is RowState.REFUSED]
    pieces = write_mistakes(batches(*refused), file.separator, has_tenant=tenant is None)
    return b"".join([piece async for piece in pieces])


async def test_mistakes_come_back_as_they_were_typed_with_the_reason() -> None:
    content = (
        'Role;Name;E-Mail;Department\nboss;"Zoë; Ünal";zoe@acme.example;H R\nemployee;A;twice@acme.example;\n'
        "employee;=1+1;twice@acme.example;\nadmin;Fine;fine@acme.example;hr\n"
    ).encode()
    text = (await mistakes(content)).decode("utf-8-sig")
    assert text.splitlines() == [
        "email;name;department;role;reason",
        'zoe@acme.example;"Zoë; Ünal";H R;boss;Unknown role. Use employee, manager or admin.',
        "twice@acme.example;A;;employee;Duplicate of row 4.",
        "twice@acme.example;'=1+1;;employee;Duplicate of row 3.",
    ]
    assert [row["name"] for _, row in rows_of(text.encode())] == ["Zoë; Ünal", "A", "=1+1"]


async def test_a_corrected_file_is_imported() -> None:
    content = b"email,name,department,role\nbroken,A,,employee\nb@acme.example,B,,king\n"
    corrected = (await mistakes(content)).replace(b"broken", b"a@acme.example").replace(b"king", b"admin")
    file = judge_file(corrected, "acme", frozenset())
    assert [(row.identifier, row.state) for row in file.rows] == [
        ("a@acme.example", RowState.WAITING),
        ("b@acme.example", RowState.WAITING),
    ]


async def test_the_column_of_the_company_comes_back_where_there_was_one() -> None:
    content = b"email,name,department,role,tenant,password_hash\nb@beta.example,B,,admin,beta,pbkdf2:sha256:1$a$b\n"
    text = (await mistakes(content)).decode("utf-8-sig")
    assert text.splitlines() == [
        "email,name,department,role,tenant,reason",
        "b@beta.example,B,,admin,beta,This row belongs to a different company.",
    ]


def test_a_row_of_an_earlier_version_has_its_email() -> None:
    row = ImportRow(2, RowState.REFUSED, "broken", "", reason=Sentence("No."))
    assert (row.value, row.typed) == ("broken", {"email": "broken"})
