"""The audit log's search fields: parsed from the query string, validated with a message for each error, and written
back for links. Pure.

A view is its address: the fields that are filled in, and the place of the page. Without a period it is that of the last
seven days; `since` and `until` replace `day`. Relative days stay relative, in the time zone of the reader.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from gateway.audit.period import Days, Span, find_day, read_day, read_time, write_time
from gateway.audit.search import Filter, Place, read_place
from gateway.model.account import Unacceptable, normalise_identifier
from gateway.model.event import GROUPS, Event, Group

NAMES = ("day", "event", "person", "address", "tenant", "since", "until", "words")
MAX_TEXT = 254


@dataclass(frozen=True, slots=True)
class Asked:
    """The search fields of one request. `texts` are the fields as typed; `wrong` names those that can't be parsed."""

    wanted: Filter
    before: Place | None
    texts: Mapping[str, str]
    wrong: tuple[str, ...]
    zone: ZoneInfo

    @property
    def given(self) -> dict[str, str]:
        """The fields that are not empty."""
        return {name: text for name, text in self.texts.items() if text}

    @property
    def day(self) -> str:
        """The chosen day or days; "" if the period has another start or end."""
        return "" if self.texts["since"] or self.texts["until"] else self.texts["day"] or Days.LAST_7.value

    @property
    def fixed(self) -> dict[str, str]:
        """The same search with its times as they are now, which another request will not move."""
        bounds = {"since": self.wanted.since, "until": self.wanted.until}
        times = {name: write_time(at, self.zone) for name, at in bounds.items() if at is not None}
        rest = {name: text for name, text in self.given.items() if name not in ("day", *bounds)}
        return {**rest, **(times or {"day": Days.ANY.value})}

    @property
    def has_more(self) -> bool:
        """Whether a field is filled in that is no choice of one press."""
        return any(self.texts[name] for name in NAMES if name not in ("day", "event"))

    def query(self, before: Place | None = None, **changes: str) -> str:
        """Return the query string of this search, from another place in the log or with other fields."""
        fields = {**self.texts, **changes}
        if changes.get("day"):
            fields |= {"since": "", "until": ""}
        elif fields["since"] or fields["until"]:
            fields["day"] = ""
        if fields["day"] == Days.LAST_7:
            fields["day"] = ""
        given = {name: text for name, text in fields.items() if text}
        return urlencode({**given, **({"before": str(before)} if before else {})})

    def within(self, since: int, until: int) -> str:
        """Return the query string of this search in another period."""
        day = find_day(since, until, self.zone)
        if day is not None:
            return self.query(day=day.isoformat())
        return self.query(since=write_time(since, self.zone), until=write_time(until, self.zone))

    def of_tenant(self, tenant: str) -> Asked:
        """Return the same search for an admin of `tenant`: any tenant that was asked for is replaced by this one."""
        wrong = tuple(name for name in self.wrong if name != "tenant")
        texts = {**self.texts, "tenant": ""}
        return replace(self, wanted=replace(self.wanted, tenant=tenant), texts=texts, wrong=wrong)


def read(query: Mapping[str, str], now: int, zone: ZoneInfo) -> Asked:
    """Parse the fields. Days and times are those of `zone`; `now` is UTC seconds."""
    texts = {name: query.get(name, "").strip()[:MAX_TEXT] for name in NAMES}
    place = query.get("before", "")
    wrong = [name for name in texts if "\x00" in texts[name] or "\ufffd" in texts[name]]
    events, before = read_events(texts["event"]), read_place(place)
    span, mistaken = read_span(texts, now, zone)
    wrong += mistaken
    if events is None:
        wrong.append("event")
    if place and before is None:
        wrong.append("before")
    wanted = Filter(
        tenant=texts["tenant"] or None,
        events=events or frozenset(),
        person=normalised(texts["person"]),
        address=texts["address"].lower(),
        since=span.since,
        until=span.until,
        words=texts["words"],
    )
    return Asked(wanted, before, texts, tuple(dict.fromkeys(wrong)), zone)


def read_span(texts: Mapping[str, str], now: int, zone: ZoneInfo) -> tuple[Span, list[str]]:
    """Return the period, and the fields that can't be read."""
    if not (texts["since"] or texts["until"]):
        span = read_day(texts["day"] or Days.LAST_7, now, zone)
        return span or Span(), ["day"] if span is None else []
    since, until = (read_time(texts[name], zone) for name in ("since", "until"))
    wrong = [name for name, at in (("since", since), ("until", until)) if texts[name] and at is None]
    if since is not None and until is not None and since >= until:
        wrong = ["since", "until"]
    return Span(since, until), wrong


def read_events(text: str) -> frozenset[Event] | None:
    """Return the events of a group's name, or the one of an event's; none for all, None if it is neither."""
    if not text:
        return frozenset()
    group = next((group for group in Group if group.value == text), None)
    if group is not None:
        return GROUPS[group]
    return next((frozenset((event,)) for event in Event if event.value == text), None)


def normalised(email: str) -> str:
    """Return an email as the log stores it; text that is no email is returned unchanged."""
    try:
        return normalise_identifier(email)
    except Unacceptable:
        return email
