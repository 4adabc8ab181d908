"""The navigation around our pages: what a person may open, and which entry the current page belongs to.

It is made of the routes. Each entry is one that its page's route declares; a page without one belongs to the entry that
`below` names, or to the nearest one above it, by the path it has before `[pages]` moves it. Pages outside any entry,
such as those of signing in, have no navigation.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Protocol

from aiohttp import web

from gateway.model.sentence import Sentence
from gateway.model.session import Session
from gateway.policy.decision import Need, Page, decide_page
from gateway.settings.record import Settings
from gateway.web.redirects import see_other
from gateway.web.routes import Pages, Route, serve
from gateway.web.sections import Entry, Section
from gateway.web.visit import signed_in_of

PERSONAL = (Need.SESSION, Need.ADMIN, Need.OWNER)


@dataclass(frozen=True, slots=True)
class Link:
    label: Sentence
    path: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class Group:
    """The links of one section, at least one."""

    section: Section
    links: tuple[Link, ...]

    @property
    def current(self) -> Link | None:
        return next((link for link in self.links if link.is_current), None)


@dataclass(frozen=True, slots=True)
class Around:
    """What is around a page: groups of links, or none. `account` is the first page of the person's own, or ""."""

    groups: tuple[Group, ...] = ()
    account: str = ""


class Navigation:
    def __init__(self, routes: Iterable[Route[Any]], settings: Settings) -> None:
        table = tuple(routes)
        served = serve(table, settings)
        self._entries = [(route, entry) for route, entry in list_entries(table) if route.name in served]
        self._paths = {name: route.path for name, route in served.items()}
        self._places = {served[route.name].path: find_place(route, table) for route in table if route.name in served}

    def around(self, session: Session | None, path: str = "") -> Around:
        """Return what the person may open. There are no groups around a page at `path` that belongs to no entry."""
        if session is None:
            return Around()
        place = self._places.get(path, "")
        groups = self._list(session, place)
        account = next((group.links[0].path for group in groups if group.section is Section.ACCOUNT), "")
        return Around(groups if place else (), account)

    def _list(self, session: Session, place: str) -> tuple[Group, ...]:
        shown = [(route, entry) for route, entry in self._entries if is_shown(route, entry, session)]
        return tuple(
            Group(section, tuple(Link(e.label, self._paths[r.name], r.name == place) for r, e in entries))
            for section, entries in groupby(shown, key=lambda each: each[1].section)
        )


def is_shown(route: Route[Any], entry: Entry, session: Session) -> bool:
    return isinstance(decide_page(route.need, route.path, session), Page) and entry.is_for(session)


def list_entries(table: tuple[Route[Any], ...]) -> list[tuple[Route[Any], Entry]]:
    """Return the routes that have an entry, in the order of the navigation."""
    sections = list(Section)
    entries = [(route, route.entry) for route in table if route.entry is not None]
    return sorted(entries, key=lambda each: (sections.index(each[1].section), each[1].order))


def find_place(route: Route[Any], table: tuple[Route[Any], ...]) -> str:
    """Return the name of the route whose entry this page belongs to, "" if there is none."""
    if route.entry is not None or route.below:
        return route.below or route.name
    above = [each for each, _ in list_entries(table) if route.path.startswith(f"{each.path}/")]
    nearest = max(above, key=lambda each: len(each.path), default=None)
    return nearest.name if nearest is not None and route.need in PERSONAL else ""


class Needs(Protocol):
    @property
    def navigation(self) -> Navigation: ...


class AccountPages:
    def __init__(self, needs: Needs) -> None:
        self._navigation = needs.navigation

    async def lead(self, request: web.Request) -> web.StreamResponse:
        """GET /me: to the first page of the person's account."""
        around = self._navigation.around(signed_in_of(request))
        if not around.account:
            raise web.HTTPNotFound
        return see_other(around.account)


ACCOUNT = Pages(
    AccountPages,
    Route("me", "/me", Need.SESSION, get=AccountPages.lead, is_exact=True),
)
PAGES = (ACCOUNT,)
