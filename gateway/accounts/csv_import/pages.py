"""/admin/accounts/import: a file of people, what would become of it, and how far it is."""

from __future__ import annotations

import time
from typing import Any

from aiohttp import web

from gateway.accounts.csv_import.importer import Importer, OverQuota
from gateway.accounts.csv_import.reading import UnreadableFile
from gateway.accounts.csv_import.rows import Preview
from gateway.accounts.pages import AccountsPaths, actor_of
from gateway.accounts.people import Actor
from gateway.model.account import Module
from gateway.policy.freshness import stale_factor
from gateway.web.redirects import Steps, Wish, see_other
from gateway.web.rendering import Renderer
from gateway.web.visit import asked_of, read_file, read_form, signed_in_of, visit_of

MAX_FILE_BYTES = 2_000_000


class ImportPages:
    """`is_owners`: these are the owner's pages, where each row names its tenant."""

    def __init__(
        self, *, importer: Importer, renderer: Renderer, steps: Steps, paths: AccountsPaths, is_owners: bool
    ) -> None:
        self._importer = importer
        self._renderer = renderer
        self._steps = steps
        self._paths = paths
        self._is_owners = is_owners

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /admin/accounts/import: the form; with `id`, what would become of a file, or how far it is."""
        import_id = asked_of(request, "id")
        if not import_id:
            return self._page("import.html", request, problem="")
        found = await self._importer.find(self._actor(request), import_id)
        if found is None:
            raise web.HTTPNotFound
        work, more = found
        if isinstance(more, Preview):
            return self._page("import-preview.html", request, work=work, preview=more, modules=list(Module))
        return self._page("import-progress.html", request, work=work, left_out_rows=more)

    async def submit(self, request: web.Request) -> web.StreamResponse:
        """POST /admin/accounts/import: `file`."""
        content = await read_file(request, "file", MAX_FILE_BYTES)
        if not content:
            return self._page("import.html", request, status=422, problem="choose a file first")
        try:
            import_id = await self._importer.keep(self._actor(request), content, int(time.time()))
        except UnreadableFile as error:
            return self._page("import.html", request, status=422, problem=str(error))
        except OverQuota as error:
            return self._page("import.html", request, status=429, wait=error.seconds, problem="quota")
        return see_other(f"{self._paths.bulk}?id={import_id}")

    async def start(self, request: web.Request) -> web.StreamResponse:
        """POST /admin/accounts/import/start: `id`. There may be admins among them, so it asks for a fresh proof."""
        import_id = (await read_form(request)).text("id")
        stale = stale_factor(signed_in_of(request), int(time.time()))
        if stale is not None:
            return self._steps.step(stale, Wish(f"{self._paths.bulk}?id={import_id}", again=True))
        inbound = visit_of(request).inbound
        if not await self._importer.start(self._actor(request), import_id, inbound, int(time.time())):
            raise web.HTTPNotFound
        return see_other(f"{self._paths.bulk}?id={import_id}")

    def _actor(self, request: web.Request) -> Actor:
        return actor_of(request, is_owners=self._is_owners)

    def _page(
        self,
        template: str,
        request: web.Request,
        *,
        status: int = 200,
        wait: int = 0,
        **context: Any,
    ) -> web.Response:
        context |= {"paths": self._paths, "is_owners": self._is_owners}
        return self._renderer.page(template, visit_of(request), status=status, wait=wait, **context)
