"""Tells rows of the log as sentences, with links to the people in them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup

from gateway.audit import rows
from gateway.audit.chain import Row
from gateway.audit.labels import title_of
from gateway.audit.people import People, Person
from gateway.audit.sentences import CASES
from gateway.languages.line_breaks import keep_together
from gateway.languages.reader import translate
from gateway.languages.times import list_text
from gateway.model.entry import ACTOR, Details
from gateway.model.event import EVENTS, GROUPS, Event, Group
from gateway.model.factor import Factor
from gateway.model.sentence import Sentence
from gateway.web.user_agents import label, read_label

# Rows that say from which device the person acted.
SEEN = GROUPS[Group.FAILED_SIGN_INS] | GROUPS[Group.SIGN_INS] | {Event.LOGOUT, Event.LOGIN_STEP, Event.STEP_UP}
PROVISIONING = "provisioning"
GONE = "–"
FROM_DEVICE = Sentence("{sentence}, from {device}")


@dataclass(frozen=True, slots=True)
class Line:
    """A row as shown. `device` is "" if the event did not come from a browser."""

    row: Row
    said: Markup
    label: str
    device: str
    details: Details


class Fields(dict[str, object]):
    """The fields of a sentence. A detail that a row lacks, because it was erased, is a dash."""

    def __missing__(self, name: str) -> str:
        return GONE


class Teller:
    """Tells rows in the language of the reader. `member` is the address of the page of a person, `means` what each
    factor is called in “signed in with”.
    """

    def __init__(self, people: People, member: str, means: Mapping[Factor, Sentence]) -> None:
        self._people = people
        self._member = member
        self._means = means

    def tell(self, row: Row) -> Line:
        details = {name: value for name, value in rows.details_of(row).items() if name != ACTOR}
        device = translate(label(row.user_agent)) if row.user_agent else ""
        said = Markup(keep_together(translate(choose(row, details)))).format_map(self._fields(row, details))  # noqa: S704 - our catalogue
        if device and row.event in SEEN and not row.actor:
            said = Markup(translate(FROM_DEVICE)).format(sentence=said, device=device)  # noqa: S704 - our catalogue
        return Line(row, said, name_of(row.event), device, details)

    def _fields(self, row: Row, details: Details) -> Fields:
        of, proved = str(details.get("of", "")), str(details.get("proved", "")).split()
        return Fields(
            details,
            person=self._subject(row),
            device=translate(read_label(str(details["device"]))) if "device" in details else GONE,
            actor=self._name(self._people.actor_of(row), row.actor, is_erased=row.is_actor_erased),
            event=name_of(of) or of,
            factors=list_text([translate(self._means.get(Factor(name), Sentence(name))) for name in proved]),
        )

    def _subject(self, row: Row) -> Markup | str:
        """Return the person whom a row is about, or else the one who acted."""
        if row.identifier or row.is_erased or not row.actor:
            return self._name(self._people.subject_of(row), row.identifier, is_erased=row.is_erased)
        return self._name(self._people.actor_of(row), row.actor)

    def _name(self, person: Person | None, email: str, *, is_erased: bool = False) -> Markup | str:
        if person is not None:
            query = urlencode({"account": person.account})
            return Markup('<a href="{}?{}">{}</a>').format(self._member, query, person.name)
        if is_erased:
            return translate(Sentence("an erased person"))
        if email == PROVISIONING:
            return translate(Sentence("Provisioning"))
        return email or translate(Sentence("an unknown person"))


def name_of(event: str) -> str:
    """Return the name of an event, "" if this version doesn't know it."""
    return translate(title_of(event))


def choose(row: Row, details: Details) -> Sentence:
    """Return the sentence of a row, still with its fields."""
    factor, has_person = str(details.get("factor", "")), bool(row.identifier or row.account)
    for case in cases_of(row, details):
        for kind in (factor, ""):
            found = CASES.get((row.event, kind, case))
            if found and not (kind == "" and factor and case in ("no_account", "wrong")):
                return found
    event = EVENTS.get(row.event)
    if event is None:
        return Sentence(row.event)
    return event.told_by if row.actor and has_person else event.told


def cases_of(row: Row, details: Mapping[str, Any]) -> list[str]:
    """Return the cases of sentences.CASES that a row is one of, the most exact first."""
    has_person = bool(row.identifier or row.is_erased)
    return [
        *([] if has_person else ["unnamed"]),
        *(["no_account"] if row.account is None and details.get("reason") == "wrong" else []),
        *(["factors"] if details.get("proved") else []),
        *(str(details[name]) for name in ("where", "reason") if details.get(name)),
        "",
    ]
