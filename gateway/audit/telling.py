"""Tells rows of the log as sentences, with links to the people in them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup

from gateway.audit import rows
from gateway.audit.chain import Row
from gateway.audit.labels import label_events
from gateway.audit.people import People, Person
from gateway.audit.sentences import Told, Translate, name_factors, tell_events, tell_failures
from gateway.languages.reader import translate
from gateway.languages.times import list_text
from gateway.model.event import ACTOR, Details, Event
from gateway.model.event_groups import GROUPS, Group
from gateway.model.sentence import Sentence

# Rows that say from which device the person acted.
SEEN = GROUPS[Group.FAILED_SIGN_INS] | GROUPS[Group.SIGN_INS] | {Event.LOGOUT, Event.LOGIN_STEP, Event.STEP_UP}
PROVISIONING = "provisioning"
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
        return "–"


class Teller:
    """Tells rows in one language. `member` is the address of the page of a person."""

    def __init__(self, _: Translate, people: People, member: str, label: Callable[[str], Sentence]) -> None:
        self._people = people
        self._member = member
        self._label = label
        self._told = tell_events(_)
        self._cases = tell_failures(_)
        self._labels = label_events(_)
        self._factors = name_factors(_)

    def tell(self, row: Row) -> Line:
        details = {name: value for name, value in rows.details_of(row).items() if name != ACTOR}
        device = translate(self._label(row.user_agent)) if row.user_agent else ""
        said = Markup(self._choose(row, details)).format_map(self._fields(row, details))  # noqa: S704 - our catalogue
        if device and row.event in SEEN and not row.actor:
            said = Markup(translate(FROM_DEVICE)).format(sentence=said, device=device)  # noqa: S704 - our catalogue
        return Line(row, said, self._labels.get(row.event, ""), device, details)

    def _choose(self, row: Row, details: Details) -> str:
        """Return the sentence of a row, still with its fields."""
        factor, has_person = str(details.get("factor", "")), bool(row.identifier or row.account)
        for case in cases_of(row, details):
            for kind in (factor, ""):
                found = self._cases.get((row.event, kind, case))
                if found and not (kind == "" and factor and case in ("nobody", "wrong")):
                    return found
        told = self._told.get(row.event, Told(row.event))
        return told.by if told.by and row.actor and has_person else told.alone

    def _fields(self, row: Row, details: Details) -> Fields:
        of = str(details.get("of", ""))
        return Fields(
            details,
            person=self._subject(row),
            actor=self._name(self._people.actor_of(row), row.actor, is_erased=row.is_actor_erased),
            event=self._labels.get(of, of),
            factors=list_text([self._factors.get(name, name) for name in str(details.get("proved", "")).split()]),
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


def cases_of(row: Row, details: Mapping[str, Any]) -> list[str]:
    """Return the cases of sentences.tell_failures that a row is one of, the most exact first."""
    has_person = bool(row.identifier or row.is_erased)
    return [
        *([] if has_person else ["unnamed"]),
        *(["nobody"] if row.account is None and details.get("reason") == "wrong" else []),
        *(["factors"] if details.get("proved") else []),
        *(str(details[name]) for name in ("where", "reason") if details.get(name)),
        "",
    ]
