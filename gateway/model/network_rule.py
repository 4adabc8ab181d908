"""Network rules: from which client addresses an account may be used, as text and as an object that judges. Pure.

A rule is written one network a line: `203.0.113.0/24 Office`, for an exception with `until 2026-12-31` at the end (that
day is still allowed, in UTC). Sections hold several lists in one text: `[admin]` begins the administrators' list.

A tenant's text has a list for everyone, and lists of roles, which replace it. An account's has one of its own, and one
that an administrator has set. All lists that apply to an account must allow an address. A list whose lines have all
expired still exists, and so allows nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from types import MappingProxyType

from gateway.model.account import Role
from gateway.model.memo import Memo
from gateway.model.networks import Network, read_address, read_network
from gateway.model.sentence import Sentence

MAX_RANGES = 100
MAX_NAME = 60
FOREVER = 1 << 62
REMEMBERED = 1_000  # addresses of one rule
EVERYONE, OWN = "", ""
ADMINISTRATOR = "administrator"
EXEMPT = "exempt"
"""An account's empty section: its tenant's rule doesn't apply to it."""
SECTION = re.compile(r"\[([a-z]{1,20})\]")
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
UNTIL = "until"
# What people type for it in their own language, and what looks like a date after it: "31 Dec 2026", "12/31".
TYPED = frozenset(f"{UNTIL} bis hasta jusqu'au jusqu’au fino al tot do até".split())
LIKE_DATE = re.compile(r"[0-9]{1,4}[./-] ?[0-9]{1,2}|\b20[0-9]{2}$")
DOTTED = re.compile(r"([0-9]{1,2})\. ?([0-9]{1,2})\. ?([0-9]{4})")
MAX_END = 6  # words


class Mistake(Exception):
    """A text is no list of networks; `line` is the one that is wrong, `why` the sentence for its author."""

    def __init__(self, why: Sentence, line: str = "") -> None:
        super().__init__(str(why), line)
        self.why = why
        self.line = line[:100]


@dataclass(frozen=True, slots=True)
class Range:
    """A network, its name, and the last day on which it is allowed; None for always."""

    network: Network
    name: str = ""
    until: date | None = None

    def __str__(self) -> str:
        end = f"{UNTIL} {self.until}" if self.until else ""
        return " ".join(filter(None, (write_network(self.network), self.name, end)))

    @property
    def ends_at(self) -> int:
        """UTC seconds."""
        if self.until is None or self.until == date.max:
            return FOREVER
        midnight = datetime(self.until.year, self.until.month, self.until.day, tzinfo=UTC)
        return int((midnight + timedelta(days=1)).timestamp())


@lru_cache(maxsize=4_000)  # the standard library takes long over those of IPv6, and each is written several times
def write_network(network: Network) -> str:
    """Return a network as people write it: of one address, the address."""
    return str(network if network.num_addresses > 1 else network.network_address)


Ranges = tuple[Range, ...]
Sections = Mapping[str, Ranges]
NOTHING: Sections = MappingProxyType({})

NO_NETWORK = Sentence("This isn’t an IP address or a network:")
NO_DATE = Sentence("After “until” comes a date like 2026-12-31:")
NO_NAME = Sentence("This name is too long, or has characters that can’t be shown:")
TOO_MANY = Sentence("A list has at most 100 lines.")
ALL_END = Sentence("At least one line must have no “until”, or no one could sign in after it.")
PAST = Sentence("This date is past. Delete the line, or choose another date:")


def read_typed(text: str) -> Ranges:
    """Parse a list that a person has typed: an end that can't be read is a mistake, and not part of a name, which would
    allow the network for ever. Raises Mistake.
    """
    return read_ranges(text, lambda line: read_range(with_end(line)))


def with_end(line: str) -> str:
    """Return a line with its end as `read_range` reads it: "bis 31.12.2026" is "until 2026-12-31". Raises Mistake."""
    words = line.split()
    if words[-2:-1] == [UNTIL]:
        return line
    last = next((at for at in range(len(words) - 1, max(0, len(words) - MAX_END), -1) if is_until(words[at])), 0)
    end = " ".join(words[last + 1 :])
    if not last or not LIKE_DATE.search(end):
        return line
    if dotted := DOTTED.fullmatch(end):
        end = f"{dotted[3]}-{dotted[2]:>02}-{dotted[1]:>02}"
    if read_date(end) is None:
        raise Mistake(NO_DATE, line)
    first = last - 1 if is_until(words[last - 1]) else last  # "fino al"
    return " ".join((*words[:first], UNTIL, end))


def is_until(word: str) -> bool:
    return word.casefold() in TYPED


def read_ranges(text: str, read: Callable[[str], Range] | None = None) -> Ranges:
    """Parse a list, one network a line, each by `read` (read_range); equal lines are one. Raises Mistake."""
    lines = dict.fromkeys(filter(None, map(str.strip, text.splitlines())))
    if len(lines) > MAX_RANGES:  # before they are parsed, which takes time
        raise Mistake(TOO_MANY)
    return tuple(dict.fromkeys(map(read or read_range, lines)))


@lru_cache(maxsize=4_000)  # a form and what is made of it parse the same lines several times
def read_range(line: str) -> Range:
    written, *words = line.split()
    until = None
    if words[-1:] == [UNTIL]:
        raise Mistake(NO_DATE, line)
    if words[-2:-1] == [UNTIL]:
        until = read_date(words[-1])
        if until is None:
            raise Mistake(NO_DATE, line)
        words = words[:-2]
    network, name = read_network(written), " ".join(words)
    if network is None:
        raise Mistake(NO_NETWORK, line)
    if len(name) > MAX_NAME or not name.isprintable():
        raise Mistake(NO_NAME, line)
    return Range(network, name, until)


def read_date(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if DATE.fullmatch(text) else None
    except ValueError:
        return None


def check(ranges: Ranges, now: int) -> None:
    """Refuse a list that allows nothing, or will. Raises Mistake. `now` is UTC seconds."""
    for entry in ranges:
        if entry.ends_at <= now:
            raise Mistake(PAST, str(entry))
    if ranges and all(entry.until is not None for entry in ranges):
        raise Mistake(ALL_END)


def write_ranges(ranges: Ranges) -> str:
    return "\n".join(map(str, ranges))


def write_sections(sections: Sections) -> str:
    """Return the text of several lists; "" if there is none."""
    blocks = [write_ranges(sections[""])] if sections.get("") else []
    for name, ranges in sorted(sections.items()):
        if name and (ranges or name == EXEMPT):
            blocks.append("\n".join(filter(None, (f"[{name}]", write_ranges(ranges)))))
    return "\n".join(blocks)


@lru_cache(maxsize=1_000)
def read_stored(text: str) -> Sections:
    """Parse a text of `write_sections` into lists by their names. A line that can't be read, since a newer version has
    written it, allows nothing, but its list exists.
    """
    found = {name: tuple(read_leniently(lines)) for name, lines in split(text).items() if lines or name == EXEMPT}
    return MappingProxyType(found)


def read_leniently(lines: list[str]) -> Iterator[Range]:
    for line in lines:
        try:
            yield read_range(line)
        except Mistake:
            continue


def split(text: str) -> dict[str, list[str]]:
    """Return the lines of each section."""
    found: dict[str, list[str]] = {"": []}
    lines = found[""]
    for line in filter(None, map(str.strip, text.splitlines())):
        header = SECTION.fullmatch(line)
        if header is not None:
            lines = found.setdefault(header[1], [])
        else:
            lines.append(line)
    return found


class NetworkRule:
    """Lists that must all allow an address, each with the words for its owner.

    Addresses that are allowed are remembered, with until when: a request costs one look into a dict.
    """

    __slots__ = ("_allowed_until", "lists")

    def __init__(self, lists: tuple[tuple[str, Ranges], ...]) -> None:
        self.lists = lists
        self._allowed_until = Memo[str, int](REMEMBERED)

    def refuse(self, address: str, now: int) -> str:
        """Return why a client's address is refused at a time (UTC seconds), or "". Other texts are refused, too.

        The reason completes "ADDRESS is …", without the address, so that the refusals of a flood are counted as one.
        """
        known = self._allowed_until
        if (known.young.get(address) or known.recall(address) or 0) > now:
            return ""
        until = FOREVER
        for owner, ranges in self.lists:
            until = min(until, allowed_until(ranges, address, now))
            if until <= now:
                return f"in none of the networks of {owner}"
        known.put(address, until)
        return ""


def allowed_until(ranges: Ranges, address: str, now: int) -> int:
    """Return until when a list allows an address, in UTC seconds; 0 if it doesn't."""
    client = read_address(address)
    if client is None:
        return 0
    ends = (entry.ends_at for entry in ranges if client in entry.network)
    return max((end for end in ends if end > now), default=0)


def rule_of(tenant: str, account: str, role: Role, *, is_owner: bool, of_owners: str = "") -> NetworkRule | None:
    """Return the rule of an account from the stored texts, None if there is none.

    To owners only their own applies, and that of the settings, `of_owners`.
    """
    if not is_owner:
        return combine(tenant, account, role, False) if tenant or account else None
    return combine(of_owners, account, role, True) if of_owners or account else None


@lru_cache(maxsize=4_096)
def combine(tenant: str, account: str, role: Role, is_owner: bool) -> NetworkRule | None:
    """Return one object for the same texts, so that a tenant's sessions share the addresses that it remembers.

    For owners, the first text is that of the settings.
    """
    of_tenant, of_account = split(tenant), read_stored(account)
    lists: list[tuple[str, Ranges]] = []
    if is_owner and tenant:
        lists.append(("the owners, in access.toml", tuple(read_leniently(of_tenant[EVERYONE]))))
    elif not is_owner and EXEMPT not in of_account:
        name = role.value if of_tenant.get(role.value) else EVERYONE
        if of_tenant[name]:
            lists.append((f"the tenant, for {name or 'everyone'}", tuple(read_leniently(of_tenant[name]))))
    if ADMINISTRATOR in of_account and not is_owner:
        lists.append(("the account, set by an administrator", of_account[ADMINISTRATOR]))
    if OWN in of_account:
        lists.append(("the account, set by its owner", of_account[OWN]))
    return NetworkRule(tuple(lists)) if lists else None
