"""/admin/access: the access of each person of a tenant, and unused accounts."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Protocol
from urllib.parse import urlencode

from aiohttp import web

from gateway.access_review.export import as_csv
from gateway.access_review.lines import Sort, Wanted
from gateway.access_review.service import AT_ONCE, AccessReviews, Judged
from gateway.accounts.people_set import PeopleSet
from gateway.model.account import Role, State
from gateway.sessions.reach import Reaches
from gateway.web.downloads import send_file
from gateway.web.platform import Platform
from gateway.web.redirects import see_other
from gateway.web.visit import Form, read_form, signed_in_of, visit_of

DAYS = (30, 90, 365)
DEFAULT_DAYS = 90
NAMED = 20  # people that a page says it left
FIELD = "person-"
PEOPLE = PeopleSet("accounts", is_owners=False)


class Needs(Platform, Protocol):
    @property
    def access_reviews(self) -> AccessReviews: ...
    @property
    def reaches(self) -> Reaches: ...


class AccessPages:
    def __init__(self, needs: Needs) -> None:
        self._service = needs.access_reviews
        self._renderer = needs.renderer
        self._url = needs.url

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /admin/access: `role`, `state`, `step`, `tokens`, `unseen`, `sort`, `after`."""
        visit, tenant, wanted = visit_of(request), signed_in_of(request).tenant, parse_filters(request.query)
        found, after = await self._service.page(tenant, wanted, visit.now)
        more = {name: value for name, value in request.query.items() if name not in ("after", "done")}
        return await self._renderer.long_page(
            "access_review/access.html",
            visit,
            lines=found,
            limited={line.account.id for line in found if line.is_limited(self._service.owners)},
            wanted=wanted,
            roles=list(Role),
            states=list(State),
            sorts=list(Sort),
            days=DAYS,
            review=await self._service.find_review(tenant),
            next_page=f"{self._url('access')}?{urlencode({**more, 'after': after})}" if after else "",
            first_page=f"{self._url('access')}?{urlencode(more)}",
            is_filtered=replace(wanted, after="", sort=Sort.EMAIL) != Wanted(),
            done=done_of(request, "reviewed", "proved"),
        )

    async def export(self, request: web.Request) -> web.StreamResponse:
        """POST /admin/access/export: streams everyone as CSV."""
        await read_form(request)
        admin = PEOPLE.admin_of(request)
        await self._service.note_export(admin)
        name = f"access-{time.strftime('%Y%m%d-%H%M%S', time.gmtime(admin.now))}.csv"
        pages = self._service.every_page(admin.session.tenant, Wanted(), admin.now)
        return await send_file(request, as_csv(pages, self._service.owners), name, "text/csv")

    async def note_review(self, request: web.Request) -> web.StreamResponse:
        """POST /admin/access/reviewed"""
        await read_form(request)
        await self._service.note_review(PEOPLE.admin_of(request))
        return see_other(f"{self._url('access')}?done=reviewed")


class UnusedPages:
    def __init__(self, needs: Needs) -> None:
        self._service = needs.access_reviews
        self._reaches = needs.reaches
        self._renderer = needs.renderer
        self._url = needs.url

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /admin/access/unused: `days`. After disabling also `done`, `count`, and `left`, ids separated by dots."""
        return await self._show(request, days_of(request.query))

    async def disable(self, request: web.Request) -> web.StreamResponse:
        """POST /admin/access/unused: `days`, and `do`: "ticked" with `person-ID`, or "listed" with `people`, ids.

        Asks for confirmation, and leaves out those who can't be disabled here.
        """
        form, admin = await read_form(request), PEOPLE.admin_of(request)
        days, ids = days_of(form.fields), chosen_in(form)
        judged = await self._service.judge(admin, ids, days)
        if not judged:
            return await self._show(request, days, problem="none")
        if not form.is_confirmed:
            return await self._ask(request, judged, days)
        count, left = await self._service.disable(admin, [one.line.account.id for one in judged], days)
        named = ".".join(left[:NAMED])
        told = {"days": days, "done": "disabled", "count": count, "left": named, "more": max(0, len(left) - NAMED)}
        return see_other(f"{self._url('access_unused')}?{urlencode(told)}")

    async def _show(self, request: web.Request, days: int, problem: str = "") -> web.Response:
        admin, left = PEOPLE.admin_of(request), read_ids(request.query.get("left", "").split("."))[:NAMED]
        found, has_more = await self._service.list_unused(admin, days)
        return await self._renderer.long_page(
            "access_review/unused.html",
            visit_of(request),
            status=422 if problem else 200,
            problem=problem,
            found=found,
            free=[one.line.account.id for one in found if one.kept is None],
            has_more=has_more,
            most=AT_ONCE,
            days=days,
            choices=DAYS,
            done=done_of(request, "disabled", "proved"),
            count=number_of(request.query, "count"),
            more=number_of(request.query, "more"),
            left=await self._service.judge(admin, left, days) if left else [],
        )

    async def _ask(self, request: web.Request, judged: list[Judged], days: int) -> web.Response:
        """Show the confirmation page, with how many people, devices and API tokens it is about."""
        visit, wanted = visit_of(request), [one.line for one in judged if one.kept is None]
        ids = [line.account.id for line in wanted]
        return await self._renderer.long_page(
            "access_review/confirm.html",
            visit,
            lines=wanted,
            ids=" ".join(ids),
            left=[one for one in judged if one.kept is not None],
            reach=await self._reaches.of_accounts(ids, visit.now),
            tokens=sum(line.tokens for line in wanted),
            days=days,
        )


def parse_filters(query: Mapping[str, str]) -> Wanted:
    """Parse the filters of a query; ignore invalid values, and NUL characters, which PostgreSQL rejects."""
    unseen = query.get("unseen", "")
    return Wanted(
        role=next((role for role in Role if role == query.get("role")), None),
        state=next((state for state in State if state == query.get("state")), None),
        lacks_second=query.get("step") == "none",
        has_tokens=query.get("tokens") == "some",
        unseen_days=int(unseen) if unseen in map(str, DAYS) else None,
        sort=Sort.SEEN if query.get("sort") == Sort.SEEN else Sort.EMAIL,
        after=query.get("after", "").replace("\0", "")[:320],
    )


def days_of(fields: Mapping[str, str]) -> int:
    days = fields.get("days", "")
    return int(days) if days in map(str, DAYS) else DEFAULT_DAYS


def chosen_in(form: Form) -> list[str]:
    """Return the ids of the accounts that a form is about."""
    if form.text("do") == "ticked":
        return read_ids([name.removeprefix(FIELD) for name in form.fields if name.startswith(FIELD)])
    return read_ids(form.text("people").split())


def read_ids(texts: Sequence[str]) -> list[str]:
    """Return the texts that can be ids, each once, and no more than a list has."""
    fit = (text for text in dict.fromkeys(texts) if text.isascii() and text.isprintable() and text)
    return list(islice(fit, AT_ONCE))


def number_of(query: Mapping[str, str], name: str) -> int:
    text = query.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0


def done_of(request: web.Request, *known: str) -> str:
    done = request.query.get("done", "")
    return done if done in known else ""
