"""The audit log's search fields: parsed from the query string, validated with a message for each error, and written
back for links. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TypeVar
from urllib.parse import urlencode

from gateway.audit.search import Filter, Place, read_place
from gateway.model.account import Unacceptable, normalise_identifier
from gateway.model.event import Event, Outcome

Member = TypeVar("Member", Event, Outcome)

NAMES = ("event", "outcome", "person", "address", "since", "until", "words", "tenant")
MAX_TEXT = 254


@dataclass(frozen=True, slots=True)
class Asked:
    """The search fields of one request. `texts` are the fields as typed; `wrong` names those that can't be parsed."""

    wanted: Filter
    before: Place | None
    texts: Mapping[str, str] = field(default_factory=dict)
    wrong: tuple[str, ...] = ()

    @property
    def given(self) -> dict[str, str]:
        """The fields that are not empty."""
        return {name: text for name, text in self.texts.items() if text}

    def query(self, before: Place | None = None, **changes: str) -> str:
        """Return the query string of this search, from another place in the log or with other fields."""
        fields = {name: text for name, text in {**self.given, **changes}.items() if text}
        return urlencode({**fields, **({"before": str(before)} if before else {})})

    def of_tenant(self, tenant: str) -> Asked:
        """Return the same search for an admin of `tenant`: any tenant that was asked for is replaced by this one."""
        texts = {name: text for name, text in self.texts.items() if name != "tenant"}
        return replace(self, wanted=replace(self.wanted, tenant=tenant), texts=texts)


def read(query: Mapping[str, str]) -> Asked:
    texts = {name: query.get(name, "").strip()[:MAX_TEXT] for name in NAMES}
    wrong = [name for name in texts if "\x00" in texts[name] or "\ufffd" in texts[name]]
    event, outcome = find_member(Event, texts["event"]), find_member(Outcome, texts["outcome"])
    since, until = read_moment(texts["since"]), read_moment(texts["until"])
    for name, value in (("event", event), ("outcome", outcome), ("since", since), ("until", until)):
        if texts[name] and value is None:
            wrong.append(name)
    wanted = Filter(
        tenant=texts["tenant"] or None,
        event=event,
        outcome=outcome,
        person=normalised(texts["person"]),
        address=texts["address"].lower(),
        since=since,
        until=until,
        words=texts["words"],
    )
    return Asked(wanted, read_place(query.get("before", "")), texts, tuple(wrong))


def find_member(kind: type[Member], text: str) -> Member | None:
    return next((member for member in kind if member.value == text), None)


def read_moment(text: str) -> int | None:
    """Return the UTC seconds of a time as a browser's field sends it (2026-03-14T09:26), or of a day; from 1970 on."""
    try:
        moment = datetime.fromisoformat(text)
        seconds = int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return None
    return seconds if seconds >= 0 else None


def normalised(email: str) -> str:
    """Return an email as the log stores it; text that is no email is returned unchanged."""
    try:
        return normalise_identifier(email)
    except Unacceptable:
        return email
