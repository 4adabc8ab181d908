"""/_gateway/scim/v2: what providers ask (RFC 7644). Every request needs a tenant's token; see admission.py."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from aiohttp import web

from gateway.scim import answers, groups, patching, shapes, users
from gateway.scim.admission import Admission, Caller
from gateway.scim.answers import Refusal
from gateway.scim.asked import Bodies, choice_of, conditions_of, id_of, page_asked, page_of
from gateway.scim.filters import InvalidFilter
from gateway.scim.group_rows import Group
from gateway.scim.groups import GroupService
from gateway.scim.libraries import ensure_loaded
from gateway.scim.patching import InvalidPatch, Shape
from gateway.scim.shapes import GROUP, USER, Choice
from gateway.scim.user_rows import Managed
from gateway.scim.users import UserService
from gateway.store.retry import retried
from gateway.throttle.side_work import SideWork
from gateway.web.routes import Urls
from gateway.web.visit import visit_of

MEMBER_BYTES = 150  # of a member in a response
DISCOVERY = ("ServiceProviderConfig", "ResourceTypes", "Schemas")
NOT_SUPPORTED = ("Bulk", "Me", ".search")

Work = Callable[[Caller, web.Request], Awaitable[web.Response]]


class Needs(Protocol):
    @property
    def scim_admission(self) -> Admission: ...
    @property
    def scim_users(self) -> UserService: ...
    @property
    def scim_groups(self) -> GroupService: ...
    @property
    def side(self) -> SideWork: ...
    @property
    def url(self) -> Urls: ...


class MachinePages:
    def __init__(self, needs: Needs) -> None:
        self._admission = needs.scim_admission
        self._users = needs.scim_users
        self._groups = needs.scim_groups
        self._bodies = Bodies(needs.side)
        self._base = base_of(needs.url)
        self._documents: dict[str, list[dict[str, Any]]] = {}

    # Routes.

    async def users(self, request: web.Request) -> web.StreamResponse:
        """/_gateway/scim/v2/Users"""
        return await self._serve(request, {"GET": self._list_users, "POST": self._create_user})

    async def user(self, request: web.Request) -> web.StreamResponse:
        """/_gateway/scim/v2/Users/{id}"""
        methods = {
            "GET": self._find_user,
            "PUT": self._replace_user,
            "PATCH": self._patch_user,
            "DELETE": self._remove_user,
        }
        return await self._serve(request, methods)

    async def groups(self, request: web.Request) -> web.StreamResponse:
        """/_gateway/scim/v2/Groups"""
        return await self._serve(request, {"GET": self._list_groups, "POST": self._create_group})

    async def group(self, request: web.Request) -> web.StreamResponse:
        """/_gateway/scim/v2/Groups/{id}"""
        methods = {
            "GET": self._find_group,
            "PUT": self._replace_group,
            "PATCH": self._patch_group,
            "DELETE": self._remove_group,
        }
        return await self._serve(request, methods)

    async def other(self, request: web.Request) -> web.StreamResponse:
        """/_gateway/scim/v2/{endpoint}: discovery, and whatever there is not."""
        return await self._serve(request, {"GET": self._discover}, self._refuse_other)

    async def document(self, request: web.Request) -> web.StreamResponse:
        """/_gateway/scim/v2/Schemas/{id} and /_gateway/scim/v2/ResourceTypes/{id}"""
        return await self._serve(request, {"GET": self._find_document})

    async def _serve(
        self, request: web.Request, methods: Mapping[str, Work], check: Callable[[web.Request], None] | None = None
    ) -> web.Response:
        """Admit a request, do its work, and answer; a refusal undoes the work."""
        method = "GET" if request.method == "HEAD" else request.method
        caller: Caller | None = None
        try:
            caller = await self._admission.admit(visit_of(request))
            if check is not None:
                check(request)
            if method not in methods:
                raise Refusal(405, "this method isn’t supported here", Allow=", ".join(sorted(methods)))
            await ensure_loaded()
            return await retried(methods[method])(caller, request)
        except InvalidPatch as error:
            reason = "too_many" if error.scim_type == "tooMany" else ""
            refusal = Refusal(400, str(error), error.scim_type, reason=reason)
        except InvalidFilter as error:
            refusal = Refusal(400, str(error), "invalidFilter")
        except Refusal as error:
            refusal = error
        if caller is not None:
            await self._admission.record(caller, refusal, f"{request.method} {page_of(request)}")
        return answers.refuse(refusal)

    # Users.

    async def _list_users(self, caller: Caller, request: web.Request) -> web.Response:
        start, count = page_asked(request)
        total, page = await self._users.list(caller, conditions_of(request, USER), start, count)
        choice = choice_of(request, USER)
        shown = [choice.cut(self._show_user(managed)) for managed in page]
        return answers.answer(shapes.write_list(shown, total, start))

    async def _create_user(self, caller: Caller, request: web.Request) -> web.Response:
        managed = await self._users.create(caller, await self._read_resource(request, USER))
        return self._answer_user(request, managed, 201)

    async def _find_user(self, caller: Caller, request: web.Request) -> web.Response:
        return self._answer_user(request, await self._users.find(caller, id_of(request)))

    async def _replace_user(self, caller: Caller, request: web.Request) -> web.Response:
        content = await self._read_resource(request, USER)
        return self._answer_user(request, await self._users.replace(caller, id_of(request), content))

    async def _patch_user(self, caller: Caller, request: web.Request) -> web.Response:
        operations = patching.read_operations((await self._bodies.read(request, USER)).content, USER)
        return self._answer_user(request, await self._users.patch(caller, id_of(request), operations))

    async def _remove_user(self, caller: Caller, request: web.Request) -> web.Response:
        await self._users.remove(caller, id_of(request))
        return answers.nothing()

    def _answer_user(self, request: web.Request, managed: Managed, status: int = 200) -> web.Response:
        shown = self._show_user(managed)
        return answers.answer(choice_of(request, USER).cut(shown), status, {"Location": shown["meta"]["location"]})

    def _show_user(self, managed: Managed) -> dict[str, Any]:
        identity, content = managed.account.id, users.content_of(managed)
        location = f"{self._base}/Users/{identity}"
        return shapes.write(USER, identity, content, location, managed.created_at, managed.changed_at)

    # Groups.

    async def _list_groups(self, caller: Caller, request: web.Request) -> web.Response:
        start, count = page_asked(request)
        choice = choice_of(request, GROUP)
        total, page = await self._groups.list(
            caller, conditions_of(request, GROUP), start, count, with_members=choice.has("members")
        )
        number = sum(len(members) for _, members in page)
        return await self._bodies.think(number * MEMBER_BYTES, self._write_groups, page, choice, total, start)

    async def _create_group(self, caller: Caller, request: web.Request) -> web.Response:
        content, members = await self._read_group(request)
        group = await self._groups.create(caller, content, members)
        return await self._answer_group(request, group, sorted(members), 201)

    async def _find_group(self, caller: Caller, request: web.Request) -> web.Response:
        choice = choice_of(request, GROUP)
        group, members = await self._groups.find(caller, id_of(request), with_members=choice.has("members"))
        return await self._answer_group(request, group, members)

    async def _replace_group(self, caller: Caller, request: web.Request) -> web.Response:
        content, members = await self._read_group(request)
        group = await self._groups.replace(caller, id_of(request), content, members)
        return await self._answer_group(request, group, sorted(members))

    async def _patch_group(self, caller: Caller, request: web.Request) -> web.Response:
        """Without a body in the answer, as Entra ID prefers it: a group may have many members."""
        body = await self._bodies.read(request, GROUP)
        operations, changes = await self._bodies.think(body.size, groups.read_patch, body.content)
        await self._groups.patch(caller, id_of(request), operations, changes)
        return answers.nothing()

    async def _remove_group(self, caller: Caller, request: web.Request) -> web.Response:
        await self._groups.remove(caller, id_of(request))
        return answers.nothing()

    async def _answer_group(
        self, request: web.Request, group: Group, members: list[str], status: int = 200
    ) -> web.Response:
        choice = choice_of(request, GROUP)
        return await self._bodies.think(len(members) * MEMBER_BYTES, self._write_group, group, members, choice, status)

    def _write_group(self, group: Group, members: list[str], choice: Choice, status: int) -> web.Response:
        shown = self._show_group(group, members)
        return answers.answer(choice.cut(shown), status, {"Location": shown["meta"]["location"]})

    def _write_groups(
        self, page: list[tuple[Group, list[str]]], choice: Choice, total: int, start: int
    ) -> web.Response:
        shown = [choice.cut(self._show_group(group, members)) for group, members in page]
        return answers.answer(shapes.write_list(shown, total, start))

    def _show_group(self, group: Group, members: list[str]) -> dict[str, Any]:
        content = groups.content_of(group)
        if members:
            content["members"] = [
                {"value": member, "$ref": f"{self._base}/Users/{member}", "type": "User"} for member in members
            ]
        location = f"{self._base}/Groups/{group.id}"
        return shapes.write(GROUP, group.id, content, location, group.created_at, group.changed_at)

    # Discovery.

    async def _discover(self, caller: Caller, request: web.Request) -> web.Response:
        documents = self._discovered(request)[request.match_info["endpoint"]]
        if request.match_info["endpoint"] == "ServiceProviderConfig":
            return answers.answer(documents[0])
        return answers.answer(shapes.write_list(documents, len(documents), 1))

    async def _find_document(self, caller: Caller, request: web.Request) -> web.Response:
        endpoint = request.path.split("/")[-2]
        for document in self._discovered(request)[endpoint]:
            if document["id"] == id_of(request):
                return answers.answer(document)
        raise Refusal(404, "there is no such document")

    def _discovered(self, request: web.Request) -> dict[str, list[dict[str, Any]]]:
        from gateway.scim.models import discover

        if "filter" in request.query:
            raise Refusal(403, "discovery has no filters")  # RFC 7644 §4
        if not self._documents:
            self._documents = discover(self._base)
        return self._documents

    @staticmethod
    def _refuse_other(request: web.Request) -> None:
        endpoint = request.match_info["endpoint"]
        if endpoint in NOT_SUPPORTED:
            raise Refusal(501, f"{endpoint} isn’t supported")
        if endpoint not in DISCOVERY:
            raise Refusal(404, "there is no such endpoint")

    # Bodies.

    async def _read_resource(self, request: web.Request, shape: Shape) -> dict[str, Any]:
        from gateway.scim.models import check

        return check(shape, (await self._bodies.read(request, shape)).content, request.method)

    async def _read_group(self, request: web.Request) -> tuple[dict[str, Any], frozenset[str]]:
        from gateway.scim.models import check

        body = await self._bodies.read(request, GROUP)
        rest, members = await self._bodies.think(body.size, groups.take_members, body.content)
        return check(GROUP, rest, request.method), members


def base_of(url: Urls) -> str:
    """Return the absolute URL of the service, without a slash at its end."""
    return url.address("scim", endpoint="").rstrip("/")
