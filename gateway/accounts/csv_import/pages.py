"""/admin/accounts/import: upload a CSV file of people, preview it, start it, and follow its progress."""

from __future__ import annotations

from functools import partial
from typing import Any, Protocol
from urllib.parse import urlencode

from aiohttp import web

from gateway.accounts.csv_import.export import write_mistakes, write_sample
from gateway.accounts.csv_import.file import Encoding, UnreadableFile
from gateway.accounts.csv_import.importer import Importer, OverQuota
from gateway.accounts.csv_import.record import Preview
from gateway.accounts.people_set import PeopleSet
from gateway.model.account import Module
from gateway.model.sentence import Sentence
from gateway.web.downloads import answer_file, send_file
from gateway.web.platform import Platform
from gateway.web.redirects import see_other
from gateway.web.visit import asked_of, read_file, read_form, signed_in_of, visit_of

MAX_FILE_BYTES = 2_000_000
CSV = "text/csv"


class Needs(Platform, Protocol):
    @property
    def importer(self) -> Importer: ...


class ImportPages:
    """On the owner's pages, each row of a file names its tenant."""

    def __init__(self, needs: Needs, *, people: PeopleSet) -> None:
        self._importer = needs.importer
        self._renderer = needs.renderer
        self._people = people
        self._at = partial(people.path, needs.url)

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /admin/accounts/import: the form; with `id`, the preview or the progress of an import.

        `read` is the encoding of a file that wasn't UTF-8.
        """
        import_id = asked_of(request, "id")
        if not import_id:
            return self._page("accounts/import.html", request, problem="")
        found = await self._importer.find(self._people.admin_of(request), import_id)
        if found is None:
            raise web.HTTPNotFound
        work, more = found
        if isinstance(more, Preview):
            of_tenant = signed_in_of(request).preferences.tenant_language
            return self._page(
                "accounts/import-preview.html",
                request,
                work=work,
                preview=more,
                modules=list(Module),
                mail_language=self._renderer.readers.choose((of_tenant,), ()).language.name,
                is_guessed=request.query.get("read") == Encoding.WINDOWS.value,
            )
        return self._page("accounts/import-progress.html", request, work=work, left_out_rows=more)

    async def submit(self, request: web.Request) -> web.StreamResponse:
        """POST /admin/accounts/import: `file`."""
        content = await read_file(request, "file", MAX_FILE_BYTES)
        if not content:
            return self._page("accounts/import.html", request, status=422, problem=Sentence("choose a file first"))
        try:
            kept = await self._importer.keep(self._people.admin_of(request), content)
        except UnreadableFile as error:
            return self._page("accounts/import.html", request, status=422, problem=error.sentence)
        except OverQuota as error:
            return self._page("accounts/import.html", request, status=429, wait=error.seconds, problem="quota")
        guessed = {"read": kept.encoding.value} if kept.encoding is Encoding.WINDOWS else {}
        return see_other(f"{self._at('import')}?{urlencode({'id': kept.id, **guessed})}")

    async def sample(self, request: web.Request) -> web.StreamResponse:
        """GET /admin/accounts/import/sample: a file of three people; `separator=semicolon` for one of those."""
        separator = ";" if request.query.get("separator") == "semicolon" else ","
        tenant = signed_in_of(request).tenant if self._people.is_owners else ""
        return answer_file(write_sample(tenant, separator), "people-sample.csv", CSV)

    async def mistakes(self, request: web.Request) -> web.StreamResponse:
        """GET /admin/accounts/import/mistakes: the rows that can't be imported, with a column of reasons. `id`."""
        found = await self._importer.list_mistakes(self._people.admin_of(request), asked_of(request, "id"))
        if found is None:
            raise web.HTTPNotFound
        work, batches = found
        pieces = write_mistakes(batches, work.separator, has_tenant=self._people.is_owners)
        return await send_file(request, pieces, "people-to-correct.csv", CSV)

    async def start(self, request: web.Request) -> web.StreamResponse:
        """POST /admin/accounts/import/start: `id`."""
        import_id = (await read_form(request)).text("id")
        if not await self._importer.start(self._people.admin_of(request), import_id):
            raise web.HTTPNotFound
        return see_other(f"{self._at('import')}?id={import_id}")

    def _page(
        self,
        template: str,
        request: web.Request,
        *,
        status: int = 200,
        wait: int = 0,
        **context: Any,
    ) -> web.Response:
        visit = visit_of(request)
        return self._renderer.page(
            template, visit, status=status, wait=wait, people_url=self._at, is_owners=self._people.is_owners, **context
        )
