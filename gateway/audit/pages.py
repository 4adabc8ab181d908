"""The audit log's pages, /admin/audit for a tenant's admin and /ops/audit for the owner: search, chart and export."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from gateway.audit import asked as asking
from gateway.audit import picture, rows, search
from gateway.audit.asked import Asked
from gateway.audit.chain import Row
from gateway.audit.export import Format, as_bytes, note_export
from gateway.audit.labels import Labels, LabelsByFactor, label_events, label_failures, label_outcomes, label_row
from gateway.model.event import ACTOR, Entry, Event, Outcome
from gateway.model.session import Session
from gateway.store import Store
from gateway.web.downloads import send_file
from gateway.web.platform import Platform
from gateway.web.user_agents import label, label_all
from gateway.web.visit import read_form, signed_in_of, visit_of

ROWS_A_PAGE = 50


@dataclass(frozen=True, slots=True)
class Line:
    """A row as shown. `label` is "" for an unknown event, `device` if the event did not come from a browser."""

    row: Row
    label: str
    device: str
    details: Mapping[str, str | int | bool]


class Needs(Platform, Protocol):
    @property
    def store(self) -> Store: ...


class AuditPages:
    """The log's pages. With `is_owners` they show every tenant, else only the viewer's own.

    `name` is the name of the log's route.
    """

    def __init__(self, needs: Needs, *, name: str, is_owners: bool) -> None:
        self._store = needs.store
        self._renderer = needs.renderer
        self._name = name
        self._is_owners = is_owners

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET: `event`, `outcome`, `person`, `address`, `since`, `until`, `words`, `tenant`, and `before`, a place in
        the log.
        """
        asked = self._asked(request.query, signed_in_of(request))
        if asked.wrong:
            return await self._page(request, asked, None, None, status=422)
        async with self._store.reading() as tx:
            found = await search.find(tx, asked.wanted, asked.before, ROWS_A_PAGE)
            drawn = await picture.draw(tx, asked.wanted, visit_of(request).now)
        await label_all(row.user_agent for row in found.rows)
        return await self._page(request, asked, found, drawn)

    async def export(self, request: web.Request) -> web.StreamResponse:
        """POST: the same fields and `format`. Streams every row that matches."""
        form = await read_form(request)
        session, now = signed_in_of(request), visit_of(request).now
        asked = self._asked(form.fields, session)
        if asked.wrong:
            return await self._page(request, asked, None, None, status=422)
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

    def _asked(self, fields: Mapping[str, str], session: Session) -> Asked:
        asked = asking.read(fields)
        return asked if self._is_owners else asked.of_tenant(session.tenant)

    async def _page(
        self,
        request: web.Request,
        asked: Asked,
        found: search.Page | None,
        drawn: picture.Picture | None,
        *,
        status: int = 200,
    ) -> web.Response:
        events, by_factor = label_events(self._renderer.gettext), label_failures(self._renderer.gettext)
        lines = [line_of(row, events, by_factor) for row in found.rows] if found else []
        return await self._renderer.long_page(
            "audit/audit.html",
            visit_of(request),
            status=status,
            name=self._name,
            is_owners=self._is_owners,
            asked=asked,
            events=events,
            outcomes=label_outcomes(self._renderer.gettext),
            found=found,
            lines=lines,
            drawn=drawn,
        )


def line_of(row: Row, events: Labels, by_factor: LabelsByFactor) -> Line:
    details = {name: value for name, value in rows.details_of(row).items() if name != ACTOR}
    said = label_row(row.event, details, events, by_factor)
    return Line(row, said, label(row.user_agent) if row.user_agent else "", details)
