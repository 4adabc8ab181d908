"""Authorises requests. Pure: the decision depends on the arguments only.

A path may have several readings (see Inbound). Access must be granted for every one of them, so that the upstream's
interpretation of the path makes no difference. The most specific entry applies, whatever the order in the file.
Requests that no rule allows are refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import NamedTuple

from gateway.model.account import Role
from gateway.model.factor import Factor
from gateway.model.inbound import Inbound, Resource
from gateway.model.memo import Memo
from gateway.model.session import Session
from gateway.policy.entries import OpenPath, Rule
from gateway.policy.paths import walk_up

OPTIONS_BY = "no entry of public or machine lists OPTIONS among its methods for this path, and no rule admits it"
MEMO_BYTES = 1_000_000
READING = frozenset(("PROPFIND", "REPORT", "SEARCH"))
UNNAMED = "\x00"  # a segment that no path contains, and so no entry names


class Need(Enum):
    """Who may open one of the gateway's own pages."""

    NOBODY = "open to everyone"
    LEAVING = "open to everyone, from every network"
    SESSION = "signed in"
    ADMIN = "a tenant's admin"
    OWNER = "the platform owner"
    PROXY = "a proxy that asks by forward-auth"


@dataclass(frozen=True, slots=True)
class Rules:
    """The input of `decide`. Keys are paths without a final slash; "/" itself is "". `places` only saves time."""

    public: Mapping[str, OpenPath] = field(default_factory=dict)
    machine: Mapping[str, OpenPath] = field(default_factory=dict)
    rules: Mapping[str, Rule] = field(default_factory=dict)
    pages: Mapping[str, Need] = field(default_factory=dict)
    page_parents: Mapping[str, Need] = field(default_factory=dict)
    """Pages whose last segment is a variable, like /invite/{token}, by their parent path."""
    places: Memo[tuple[str, bytes, tuple[str, ...]], Place] = field(init=False, repr=False, compare=False)
    depth: int = field(init=False, repr=False, default=0)
    """The number of segments of the deepest entry."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "places", Memo(MEMO_BYTES, lambda asked, place: 500 + 3 * len(asked[1])))
        object.__setattr__(self, "depth", max((path.count("/") for path in entries_of(self)), default=0))

    def __deepcopy__(self, copied: dict[int, object]) -> Rules:
        return self  # nothing changes it


@dataclass(frozen=True, slots=True)
class Place:
    """The entries that apply to one method and target, independent of the session.

    `rules` has one rule per reading of the path; it is empty if some reading has none.
    """

    page: Need | None
    machine: OpenPath | None
    public: OpenPath | None
    rules: tuple[Rule, ...]


class Forward(NamedTuple):
    """Forward to the upstream, with the session's identity unless it is None. `by` is the entry that allows it.

    The most frequent decision: a tuple is created in a third of the time of a dataclass.
    """

    session: Session | None
    by: Rule | OpenPath


@dataclass(frozen=True, slots=True)
class Page:
    """Answer with one of the gateway's own pages."""

    session: Session | None
    by: str


@dataclass(frozen=True, slots=True)
class SignIn:
    """Require a session. OPTIONS requires an entry that lists it, since browsers send preflights without cookies, or an
    API token, which no preflight has.
    """

    by: str


@dataclass(frozen=True, slots=True)
class StepUp:
    """Require another proof of `factor` from a signed-in person. `is_only`: nothing else will do in its place."""

    session: Session
    factor: Factor
    by: str
    is_only: bool = False


@dataclass(frozen=True, slots=True)
class Refuse:
    """`is_limit`: people in their browser may be admitted, and the API token is not."""

    session: Session
    by: str
    is_limit: bool = False


@dataclass(frozen=True, slots=True)
class Outside:
    """Refuse a session or token, because the request comes from outside the networks of its account or tenant."""

    session: Session
    by: str


Decision = Forward | Page | SignIn | StepUp | Refuse | Outside


def decide(inbound: Inbound, session: Session | None, rules: Rules, now: int) -> Decision:
    """Return the decision. `now` is in UTC seconds, for rules with `fresh` and networks that expire."""
    if session is not None and session.networks is not None:
        outside = session.networks.refuse(inbound.address, now)
        if outside:
            by = f"{inbound.address or 'an unknown address'} is {outside}"
            return decide_outside(inbound, session, rules, now, by)
    decision = decide_target(inbound, session, rules, now)
    if inbound.reach and isinstance(decision, Forward):
        return decide_reach(inbound, session, rules, now) or decision
    return decision


def decide_outside(inbound: Inbound, session: Session, rules: Rules, now: int, by: str) -> Decision:
    """Decide about a request from outside the session's networks: paths open to strangers stay open, without the
    identity. People can sign out from everywhere. A proxy's question is about another request. A token opens no page.
    """
    decision = decide(inbound, None, rules, now)
    if isinstance(decision, Page):
        need = find_page(inbound, rules)
        if session.grant is not None and need is not Need.PROXY:
            return Outside(session, by)
        return Page(session, decision.by) if need in (Need.LEAVING, Need.PROXY) else decision
    return Outside(session, by) if isinstance(decision, SignIn) else decision


def decide_target(inbound: Inbound, session: Session | None, rules: Rules, now: int) -> Decision:
    place = rules.places.young.get((inbound.method, inbound.target, inbound.readings)) or find_place(inbound, rules)
    if place.page is not None:
        return decide_page(place.page, inbound.path, session)
    if place.machine is not None:
        return Forward(None, place.machine)
    if place.public is not None:
        return Forward(complete(session, inbound) if inbound.method != "OPTIONS" else None, place.public)
    if inbound.method == "OPTIONS" and (session is None or session.grant is None):
        return SignIn(OPTIONS_BY)
    if session is None:
        return SignIn("no entry of public or machine admits this path and method")
    if session.grant is not None:
        if refusal := session.grant.refuse(inbound):
            return Refuse(session, refusal, is_limit=True)
    elif session.missing is not None:
        return StepUp(session, session.missing, "the account needs more factors than this session has proved")
    return decide_rules(place.rules, session, now)


def decide_reach(inbound: Inbound, session: Session | None, rules: Rules, now: int) -> Decision | None:
    """Authorise the resources that the request affects besides its target. Returns None if all are allowed.

    Each is decided as if it had been requested with the same method. A refusal takes precedence over step-up, which
    would only lead to that refusal. Methods that only read do not count as opening our pages: the upstream answers with
    what it has there. (Radicale's start page sends PROPFIND for `/` without Depth.)
    """
    if inbound.method in READING:
        rules = replace(rules, pages={}, page_parents={})
    found: Decision | None = None
    for target, readings in resources_in(inbound.reach, rules):
        further = inbound._replace(target=target, readings=readings, reach=())
        match decide_target(further, session, rules, now):
            case Refuse(known, by, is_limit):
                return Refuse(known, f"{by}; it reaches {readings[0]}", is_limit)
            case SignIn(by):
                return SignIn(f"{by}; it reaches {readings[0]}")
            case StepUp(known, factor, by, is_only):
                found = StepUp(known, factor, f"{by}; it reaches {readings[0]}", is_only)
    return found


def resources_in(reach: tuple[Resource, ...], rules: Rules) -> Iterator[tuple[bytes, tuple[str, ...]]]:
    """Yield target and readings of paths that represent everything affected.

    Below a deep resource, the decision can differ for each entry, and for unnamed paths below an entry. A page with a
    variable segment matches exactly one more segment, so paths with one and with two more are tested.
    """
    for resource in reach:
        yield resource.target, resource.readings
        for path in resource.readings if resource.is_deep else ():
            top = path.rstrip("/")
            below = (entry for entry in entries_of(rules) if entry.startswith(f"{top}/"))
            for reached in (top, *below):
                for place in (reached or "/", f"{reached}/{UNNAMED}", f"{reached}/{UNNAMED}/{UNNAMED}"):
                    yield place.encode(), (place,)


def entries_of(rules: Rules) -> Iterator[str]:
    """Yield the path of each entry. The decision can differ below each."""
    for entries in (rules.public, rules.machine, rules.rules, rules.pages, rules.page_parents):
        yield from entries


def complete(session: Session | None, inbound: Inbound) -> Session | None:
    """Return the session if it has proved every factor that its account now requires, else None. That of a token is
    returned if the token allows the request.

    If the account becomes an owner, or enrols TOTP elsewhere, the session is treated as anonymous until the missing
    factor is proved.
    """
    if session is None or session.missing is None:
        return session
    return session if session.grant is not None and not session.grant.refuse(inbound) else None


def find_place(inbound: Inbound, rules: Rules) -> Place:
    asked = inbound.method, inbound.target, inbound.readings
    if (place := rules.places.recall(asked)) is not None:
        return place
    found = [find_rule(reading, rules) for reading in inbound.readings]
    place = Place(
        page=find_page(inbound, rules),
        machine=find_open(inbound, rules.machine, rules.depth),
        public=find_open(inbound, rules.public, rules.depth),
        rules=() if None in found else tuple(rule for rule in found if rule is not None),
    )
    rules.places.put(asked, place)
    return place


def find_page(inbound: Inbound, rules: Rules) -> Need | None:
    """Match our own pages by their exact spelling: no decoding, no folding, nothing below."""
    path = inbound.readings[0]
    need = rules.pages.get(path)
    if need is None:
        parent, _, last = path.rpartition("/")
        need = rules.page_parents.get(parent) if last else None
    is_spelled_so = inbound.target.partition(b"?")[0] == path.encode()
    return need if is_spelled_so else None


def takes_foreign_form(inbound: Inbound, rules: Rules) -> bool:
    """Whether, for every reading of the path, the rule allows saving another site's form."""
    place = find_place(inbound, rules)
    return bool(place.rules) and all(rule.cross_site_post for rule in place.rules)


def decide_page(need: Need, path: str, session: Session | None) -> Decision:
    by = f"page {path}, {need.value}"
    if session is not None and session.grant is not None and need is not Need.PROXY:
        return Refuse(session, f"{by}, and no token opens a page", is_limit=True)
    match need:
        case Need.NOBODY | Need.LEAVING | Need.PROXY:
            return Page(session, by)
        case _ if session is None:
            return SignIn(by)
        case _ if session.missing is not None:
            return StepUp(session, session.missing, by)
        case Need.SESSION:
            return Page(session, by)
        case Need.ADMIN:
            return Page(session, by) if session.role is Role.ADMIN else Refuse(session, by)
        case Need.OWNER:
            return Page(session, by) if session.is_owner else Refuse(session, by)


def find_open(inbound: Inbound, entries: Mapping[str, OpenPath], depth: int) -> OpenPath | None:
    found = None
    for reading in inbound.readings if entries else ():
        found = find_entry(reading, inbound.method, entries, depth)
        if found is None:
            return None
    return found


def find_entry(path: str, method: str, entries: Mapping[str, OpenPath], depth: int) -> OpenPath | None:
    own = path.rstrip("/")
    for prefix in walk_up(path, depth):
        entry = entries.get(prefix)
        if entry is not None and (entry.is_prefix or prefix == own) and entry.admits(method):
            return entry
    return None


def decide_rules(rules: tuple[Rule, ...], session: Session, now: int) -> Decision:
    step_up: StepUp | None = None
    for rule in rules:
        refusal = rule.refusal(session)
        if refusal is not None:
            return Refuse(session, refusal)
        factor = rule.missing(session, now)
        if factor is not None and session.grant is not None:
            return Refuse(session, f"{rule} asks for {factor}, which no token proves", is_limit=True)
        if factor is not None:
            by = f"{rule} asks for {factor}{'' if rule.fresh is None else ', proved lately'}"
            step_up = StepUp(session, factor, by, rule.require == Factor.PASSKEY)
    if step_up is not None:
        return step_up
    return Forward(session, rules[-1]) if rules else Refuse(session, "no rule admits this path")


def find_rule(path: str, rules: Rules) -> Rule | None:
    return next((rules.rules[prefix] for prefix in walk_up(path, rules.depth) if prefix in rules.rules), None)
