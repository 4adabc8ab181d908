"""A provider's groups. Their names may stand for roles (sso); here they only have members."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, false

from gateway.accounts import rows as account_rows
from gateway.actions.action import Action
from gateway.model.event import Event
from gateway.scim import group_rows, patching, user_rows
from gateway.scim.admission import Admission, Caller
from gateway.scim.answers import Refusal
from gateway.scim.filters import Condition, InvalidFilter
from gateway.scim.group_rows import Group, has_member, key_of_name, scim_groups
from gateway.scim.patching import InvalidPatch, Operation
from gateway.scim.shapes import GROUP
from gateway.store import Transaction

MAX_MEMBERS = 10_000  # named in a request, and shown in a response
ALL = 10_000_000
MAX_LISTED = 100  # accounts whose coming and going in one request is recorded one by one


@dataclass(frozen=True, slots=True)
class Changes:
    """What becomes of a group's members. `is_replaced`: those that aren't added leave."""

    added: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()
    is_replaced: bool = False

    def add(self, members: frozenset[str]) -> Changes:
        return replace(self, added=self.added | members, removed=self.removed - members)

    def remove(self, members: frozenset[str]) -> Changes:
        return replace(self, added=self.added - members, removed=self.removed | members)


class GroupService:
    def __init__(self, admission: Admission) -> None:
        self._admission = admission

    # Reading.

    async def find(self, caller: Caller, group_id: str, *, with_members: bool) -> tuple[Group, list[str]]:
        async with self._admission.reading(caller) as tx:
            group = found(await group_rows.find(tx, caller.tenant, group_id))
            return group, (await members_of(tx, [group]))[group.id] if with_members else []

    async def list(
        self, caller: Caller, conditions: Sequence[Condition], start: int, count: int, *, with_members: bool
    ) -> tuple[int, list[tuple[Group, list[str]]]]:
        """Return how many groups match, and a page of them. Raises InvalidFilter."""
        wanted = [condition_of(condition) for condition in conditions]
        async with self._admission.reading(caller) as tx:
            total, page = await group_rows.find_page(tx, caller.tenant, wanted, start, count)
            members = await members_of(tx, page) if with_members else {}
            return total, [(group, members.get(group.id, [])) for group in page]

    # Changing.

    async def create(self, caller: Caller, content: Mapping[str, Any], members: frozenset[str]) -> Group:
        async with self._admission.begin(caller) as action:
            name, external_id = content["displayName"], content.get("externalId", "")
            group = await group_rows.add(action.tx, caller.tenant, name, external_id, action.now)
            if group is None:
                raise taken()
            counts = await self._settle(action, group, Changes(added=members))
            await action.record_about(Event.SCIM_GROUP_ADDED, caller.tenant, {"group": name, **counts})
            return group

    async def replace(
        self, caller: Caller, group_id: str, content: Mapping[str, Any], members: frozenset[str]
    ) -> Group:
        async with self._admission.begin(caller) as action:
            group = found(await group_rows.find(action.tx, caller.tenant, group_id, lock=True), "not_there")
            return await self._change(action, group, content, Changes(added=members, is_replaced=True))

    async def patch(self, caller: Caller, group_id: str, operations: Sequence[Operation], changes: Changes) -> Group:
        """Apply all operations, or none. Members that come or go are not compared with all that stay."""
        from gateway.scim.models import check

        async with self._admission.begin(caller) as action:
            group = found(await group_rows.find(action.tx, caller.tenant, group_id, lock=True), "not_there")
            patched = patching.apply(content_of(group), operations, GROUP)
            return await self._change(action, group, check(GROUP, patched, "PATCH"), changes)

    async def remove(self, caller: Caller, group_id: str) -> None:
        async with self._admission.begin(caller) as action:
            group = found(await group_rows.find(action.tx, caller.tenant, group_id, lock=True), "not_there")
            counts = await self._settle(action, group, Changes(is_replaced=True))
            await group_rows.remove(action.tx, group.id)
            await action.record_about(Event.SCIM_GROUP_REMOVED, caller.tenant, {"group": group.name, **counts})

    async def _change(self, action: Action, group: Group, content: Mapping[str, Any], changes: Changes) -> Group:
        name, external_id = content["displayName"], content.get("externalId", "")
        await account_rows.lock_tenant(action.tx, group.tenant)
        if not await group_rows.is_name_free(action.tx, group, name):
            raise taken()
        counts = await self._settle(action, group, changes)
        if not counts and (name, external_id) == (group.name, group.external_id):
            return group
        changed = replace(group, name=name, external_id=external_id, changed_at=action.now)
        await group_rows.put(action.tx, changed)
        before = {"from": group.name} if name != group.name else {}
        await action.record_about(Event.SCIM_GROUP_CHANGED, group.tenant, {"group": name, **before, **counts})
        return changed

    async def _settle(self, action: Action, group: Group, changes: Changes) -> dict[str, int]:
        """Add and remove members. Returns how many came and went, without zeros."""
        tx = action.tx
        known = await user_rows.find_known(tx, group.tenant, changes.added)
        if len(known) < len(changes.added):
            raise Refusal(400, "a member must be a user of the same company", "invalidValue", reason="member")
        if changes.is_replaced:
            before = set((await members_of(tx, [group], ALL))[group.id])
            leaving = before - changes.added
        else:
            before = await group_rows.find_members(tx, group.id, changes.added | changes.removed)
            leaving = before & changes.removed
        coming = changes.added - before
        await group_rows.add_members(tx, group.id, coming)
        await group_rows.remove_members(tx, group.id, leaving)
        await self._record(action, group, Event.SCIM_MEMBER_ADDED, coming)
        await self._record(action, group, Event.SCIM_MEMBER_REMOVED, leaving)
        counts = {"members_added": len(coming), "members_removed": len(leaving)}
        return {name: number for name, number in counts.items() if number}

    async def _record(self, action: Action, group: Group, event: Event, account_ids: set[str] | frozenset[str]) -> None:
        """Write a row about each account, unless there are too many: the group's row says how many."""
        for account_id in sorted(account_ids) if len(account_ids) <= MAX_LISTED else ():
            account = await account_rows.find(action.tx, account_id)
            if account is not None:
                await action.record(event, account, {"group": group.name})


async def members_of(tx: Transaction, groups: Sequence[Group], limit: int = MAX_MEMBERS) -> dict[str, list[str]]:
    """Return the members of each group. Raises Refusal if there are more than `limit`."""
    members: dict[str, list[str]] = {group.id: [] for group in groups}
    pairs = await group_rows.list_members(tx, list(members), limit + 1)
    if len(pairs) > limit:
        detail = f"there are more than {limit} members; ask with excludedAttributes=members"
        raise Refusal(400, detail, "tooMany")
    for group_id, account_id in pairs:
        members[group_id].append(account_id)
    return members


def read_members(value: Any) -> frozenset[str]:
    """Return the ids of members. Raises InvalidPatch."""
    given = value if isinstance(value, list) else [] if value is None else [value]
    if len(given) > MAX_MEMBERS:
        raise InvalidPatch("tooMany", f"a request may name at most {MAX_MEMBERS} members")
    return frozenset(map(read_member, given))


def read_member(given: Any) -> str:
    value = given
    if isinstance(given, dict):
        value = next((part for name, part in given.items() if name.lower() == "value"), None)
    if not isinstance(value, str) or not value.isascii() or not value.isprintable():
        raise InvalidPatch("invalidValue", "a member must be an object with the id of a user as its value")
    return value


def take_members(body: Mapping[str, Any]) -> tuple[dict[str, Any], frozenset[str]]:
    """Return a group without its members, and their ids. Raises InvalidPatch."""
    rest = {name: value for name, value in body.items() if name.lower() != "members"}
    members = [read_members(value) for name, value in body.items() if name.lower() == "members"]
    return rest, frozenset().union(*members)


def read_patch(body: Mapping[str, Any]) -> tuple[list[Operation], Changes]:
    """Return the operations of a PATCH request: those on the group itself, and what the others come to."""
    operations = patching.read_operations(body, GROUP)
    of_members = [operation for operation in operations if operation.place.name == "members"]
    return [operation for operation in operations if operation.place.name != "members"], fold(of_members)


def fold(operations: Sequence[Operation]) -> Changes:
    """Return what operations on `members` come to, one after another. Raises InvalidPatch."""
    changes = Changes()
    for op, place, value in operations:
        named = frozenset(str(condition.value) for condition in place.conditions)
        if place.part or (named and (op != "remove" or len(named) > 1 or place.conditions[0].name != "value")):
            raise InvalidPatch("invalidPath", 'members can be named as members, or removed as members[value eq "id"]')
        if op == "remove" and not named and value is None:
            changes = Changes(is_replaced=True)
        elif op == "remove":
            changes = changes.remove(named or read_members(value))
        elif op == "add":
            changes = changes.add(read_members(value))
        else:
            changes = Changes(added=read_members(value), is_replaced=True)
    return changes


def found(group: Group | None, reason: str = "") -> Group:
    if group is None:
        raise Refusal(404, "there is no such group", reason=reason)
    return group


def taken() -> Refusal:
    return Refusal(409, "there is a group of this name", "uniqueness")


def content_of(group: Group) -> dict[str, Any]:
    more = {"externalId": group.external_id} if group.external_id else {}
    return {"displayName": group.name, **more}


def condition_of(condition: Condition) -> ColumnElement[bool]:
    """Return what a filter asks for. Raises InvalidFilter."""
    match condition:
        case ("displayname", str(value)):
            return scim_groups.c.name_key == key_of_name(value)
        case ("externalid", str(value)):
            return scim_groups.c.external_id == value if value else false()
        case ("id", str(value)):
            return scim_groups.c.id == value
        case ("members" | "members.value", str(value)):
            return has_member(value)
    raise InvalidFilter("groups can be found by displayName, externalId, id and members")
