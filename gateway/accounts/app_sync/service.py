"""Carries out what plan.py plans, with audit rows, in transactions of fifty accounts.

Short transactions let people sign in meanwhile, on SQLite too. An account that changed between plan and transaction
is skipped. If an import is interrupted, the next one completes it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

from gateway.accounts import change, rows
from gateway.accounts.app_sync import rows as imported
from gateway.accounts.app_sync.plan import (
    Disable,
    Follow,
    Keep,
    Known,
    Row,
    State,
    Verdict,
    Wishes,
    digest_of,
    is_admin,
    plan,
)
from gateway.accounts.csv_import.reading import NOT_FREE, Create, Reject, Skip
from gateway.actions.action import Action, Actions, operator
from gateway.factors.contract import Factors
from gateway.model.account import Account, Status
from gateway.model.event import Event
from gateway.store import Store, Transaction
from gateway.store.pace import then_rest

BATCH = 50
MEANWHILE = "it was changed at this very moment; import again"


class AppImport:
    """`source` names the application's database, `by` the operator. `now` is a time before the database was read."""

    def __init__(
        self,
        store: Store,
        actions: Actions,
        factors: Factors,
        *,
        source: str,
        owners: frozenset[str],
        by: str,
        now: int,
    ) -> None:
        self._store = store
        self._actions = actions
        self._factors = factors
        self._source = source
        self._owners = owners
        self._actor = operator(f"{by}, import from {source}")
        self._now = now

    async def show(self, given: list[Row], wishes: Wishes) -> list[Verdict]:
        """Return the verdicts on the rows, without changes."""
        async with self._store.reading() as tx:
            return await self._plan(tx, given, wishes)

    async def apply(self, given: list[Row], wishes: Wishes) -> list[Verdict]:
        """Plan and carry out; return what was done."""
        return await self.carry_out(await self.show(given, wishes))

    async def carry_out(self, planned: list[Verdict]) -> list[Verdict]:
        """Carry out a plan as far as it is still valid; return what was done."""
        seen = [verdict.account.id for verdict in planned if isinstance(verdict, Follow) and verdict.brings_nothing]
        async with self._store.transaction() as tx:
            await imported.touch(tx, self._source, seen, self._now)
        done: list[Verdict] = []
        for start in range(0, len(planned), BATCH):
            done += await then_rest(self._carry_out_all(planned[start : start + BATCH]))
        return done

    async def _carry_out_all(self, planned: list[Verdict]) -> list[Verdict]:
        """Carry out a batch, in a transaction if it has any change."""
        if not any(is_change(verdict) for verdict in planned):
            return planned
        done: list[Verdict] = []
        async with self._actions.begin(self._actor, self._now) as action:
            for kind, verdicts in itertools.groupby(planned, type):
                if kind is Create:
                    done += await self._create_all(action, [each for each in verdicts if isinstance(each, Create)])
                else:
                    done += [await self._carry_out(action, each) if is_change(each) else each for each in verdicts]
        return done

    async def _create_all(self, action: Action, wanted: Sequence[Create]) -> list[Verdict]:
        accounts = await change.create_all(action, wanted)
        known = [
            Known(account.id, each.identifier, digest_of(each.password_hash), True, self._now, None, each.user_key)
            for each, account in zip(wanted, accounts, strict=True)
            if account is not None
        ]
        await imported.remember(action.tx, self._source, known)
        return [
            Reject(each.line, each.identifier, NOT_FREE, each.identifier) if account is None else each
            for each, account in zip(wanted, accounts, strict=True)
        ]

    async def _plan(self, tx: Transaction, given: list[Row], wishes: Wishes) -> list[Verdict]:
        state = State(
            accounts=tuple(await rows.list_all(tx)),
            known=tuple(await imported.list_known(tx, self._source)),
            repassworded=frozenset(await imported.list_with_new_password(tx, self._source)),
            owners=self._owners,
        )
        return plan(given, state, wishes)

    async def _carry_out(self, action: Action, verdict: Verdict) -> Verdict:
        tx = action.tx
        match verdict:
            case Follow():
                if not await self._still_holds(tx, verdict.account, verdict.after):
                    return Skip(verdict.line, verdict.identifier, MEANWHILE)
                await self._change(action, verdict.account, verdict.after)
                known = Known(
                    verdict.account.id,
                    verdict.identifier,
                    verdict.hash_digest,
                    False,
                    self._now,
                    None,
                    verdict.user_key,
                )
                await imported.remember(tx, self._source, [known])
            case Disable(account):
                if not await self._still_holds(tx, account, replace(account, status=Status.DISABLED)):
                    return Keep(account, MEANWHILE)
                await change.set_status(action, account, Status.DISABLED)
                await imported.mark_disabled(tx, self._source, account.id, self._now)
        return verdict

    async def _still_holds(self, tx: Transaction, before: Account, after: Account) -> bool:
        """Whether the account is unchanged since the plan, and its tenant keeps an admin. Locks the account."""
        if await rows.find(tx, before.id, lock=True) != before:
            return False
        stays = not is_admin(before) or (is_admin(after) and after.tenant == before.tenant)
        return stays or await imported.has_other_admin(tx, before)

    async def _change(self, action: Action, before: Account, after: Account) -> None:
        changes = changes_of(before, after)
        if changes:
            await imported.set_profile(action.tx, after)
            await action.record(Event.ACCOUNT_UPDATED, after, changes)
        if after.role is not before.role:
            await change.set_role(action, before, after.role, after.modules)
        if after.password_hash is not None and after.password_hash != before.password_hash:
            await change.set_password(action, self._factors, after, after.password_hash)
        if after.status is not before.status:
            await change.set_status(action, after, after.status)


def is_change(verdict: Verdict) -> bool:
    return isinstance(verdict, Create | Disable) or (isinstance(verdict, Follow) and not verdict.brings_nothing)


def changes_of(before: Account, after: Account) -> dict[str, str]:
    """Describe the changes of name, tenant and modules, for the audit log."""
    said = {
        "name": (before.name, after.name),
        "tenant": (before.tenant, after.tenant),
        "modules": (",".join(sorted(before.modules)) or "none", ",".join(sorted(after.modules)) or "none"),
    }
    return {key: f"{old} -> {new}" for key, (old, new) in said.items() if old != new}
