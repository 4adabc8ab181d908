"""The audit log's pages, /admin/audit for a tenant's admin and /ops/audit for the owner: search, chart and export."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from gateway.audit import asked as asking
from gateway.audit import picture, search
from gateway.audit.asked import Asked
from gateway.audit.export import Format, as_bytes, note_export
from gateway.audit.labels import DAY_NAMES, FIELD_NAMES, GROUP_NAMES, sort_events
from gateway.audit.people import People, find_people
from gateway.audit.telling import Teller
from gateway.languages.reader import current_reader
from gateway.model.entry import Entry, Outcome
from gateway.model.event import Event
from gateway.model.factor import Factor
from gateway.model.sentence import Sentence
from gateway.store import Store
from gateway.web.downloads import send_file
from gateway.web.platform import Platform
from gateway.web.user_agents import label_all
from gateway.web.visit import read_form, signed_in_of, visit_of

ROWS_A_PAGE = 15


@dataclass(frozen=True, slots=True)
class View:
    """What a search has found."""

    found: search.Page
    drawn: picture.Picture | None
    people: People


class Needs(Platform, Protocol):
    @property
    def means(self) -> Mapping[Factor, Sentence]: ...
    @property
    def store(self) -> Store: ...


class AuditPages:
    """The log's pages. With `is_owners` they show every tenant, else only the viewer's own.

    `name` is the name of the log's route, `member` that of the page of a person.
    """

    def __init__(self, needs: Needs, *, name: str, member: str, is_owners: bool) -> None:
        self._store = needs.store
        self._renderer = needs.renderer
        self._means = needs.means
        self._url = needs.url
        self._name = name
        self._member = member
        self._is_owners = is_owners

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET: `day`, `event`, `person`, `address`, `since`, `until`, `words`, `tenant`, and `before`, a place in the
        log.
        """
        asked, now = self._asked(request, request.query), visit_of(request).now
        if asked.wrong:
            return await self._page(request, asked, None, status=422)
        async with self._store.reading() as tx:
            found = await search.find(tx, asked.wanted, asked.before, ROWS_A_PAGE)
            drawn = await picture.draw(tx, asked.wanted, now, asked.zone)
            others = [share.name for share in drawn.people] if drawn else []
            tenant = None if self._is_owners else signed_in_of(request).tenant
            people = await find_people(tx, found.rows, others, tenant)
        await label_all(row.user_agent for row in found.rows)
        return await self._page(request, asked, View(found, drawn, people))

    async def export(self, request: web.Request) -> web.StreamResponse:
        """POST: the same fields and `format`. Streams every row that matches."""
        form = await read_form(request)
        session, now = signed_in_of(request), visit_of(request).now
        asked = self._asked(request, form.fields)
        if asked.wrong:
            return await self._page(request, asked, None, status=422)
        kind = Format.CSV if form.text("format") == Format.CSV.value else Format.JSON_LINES
        entry = Entry(
            Event.AUDIT_EXPORTED,
            Outcome.SUCCESS,
            now,
            session.identifier,
            tenant=session.tenant,
            account=session.account,
        )
        seen = entry.seen_from(visit_of(request).inbound, session.id)
        await note_export(self._store, asked.wanted, kind, seen)
        name = f"audit-{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now))}.{kind.value}"
        return await send_file(request, as_bytes(self._store, asked.wanted, kind), name, kind.content_type)

    def _asked(self, request: web.Request, fields: Mapping[str, str]) -> Asked:
        session = signed_in_of(request)
        asked = asking.read(fields, visit_of(request).now, current_reader().zone)
        return asked if self._is_owners else asked.of_tenant(session.tenant)

    async def _page(self, request: web.Request, asked: Asked, view: View | None, *, status: int = 200) -> web.Response:
        teller = Teller(view.people, self._url(self._member), self._means) if view else None
        return await self._renderer.long_page(
            "audit/audit.html",
            visit_of(request),
            status=status,
            name=self._name,
            is_owners=self._is_owners,
            asked=asked,
            days=DAY_NAMES,
            groups=GROUP_NAMES,
            events=sort_events(),
            fields=FIELD_NAMES,
            found=view.found if view else None,
            lines=[teller.tell(row) for row in view.found.rows] if view and teller else [],
            drawn=view.drawn if view else None,
            name_of=view.people.name_of if view else str,
        )
