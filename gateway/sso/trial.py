"""An administrator's trial of a provider: what it says of them, and what a sign-in would do. It signs nobody in."""

from __future__ import annotations

from gateway.accounts import rows as account_rows
from gateway.actions.action import Action
from gateway.crypto.sealing import Sealer
from gateway.model.event import Event
from gateway.sso import rows
from gateway.sso.arrival import Arrivals
from gateway.sso.keys import rows as keys
from gateway.sso.oidc.id_token import is_since
from gateway.sso.oidc.record import Claims
from gateway.sso.outcome import Tried
from gateway.sso.roles.follow import Follower
from gateway.sso.roles.mapping import Foreseen
from gateway.sso.rows import Registered
from gateway.sso.waits import Wait
from gateway.store import Transaction
from gateway.web.visit import Visit


class Trials:
    def __init__(self, sealer: Sealer, arrivals: Arrivals, follower: Follower) -> None:
        self._sealer = sealer
        self._arrivals = arrivals
        self._follower = follower

    async def judge(
        self, action: Action, registered: Registered, claims: Claims, wait: Wait, visit: Visit
    ) -> Tried | None:
        """Note that a trial went well, and return its result; None for somebody else than who began it."""
        session = visit.signed_in
        if session is None or not is_of_trial(visit, wait) or session.tenant != registered.provider.tenant:
            return None
        await keys.note_trial(action.tx, wait.client_key, action.now)
        now_used = await rows.find_provider(action.tx, self._sealer, wait.provider)
        if now_used is not None and now_used.provider.client_key == registered.provider.client_key:
            await rows.note_trial(action.tx, wait.provider, action.now)
        await action.record_own(Event.SSO_TRIED, session)
        can_confirm = claims.auth_time is not None and is_since(claims.auth_time, wait.began_at)
        would, roles = await self._foresee(action.tx, registered, claims)
        return Tried(
            registered.provider.kind, claims, would, registered.has_two_factors(claims), can_confirm, roles,
            is_enabled=registered.provider.is_enabled,
        )  # fmt: skip

    async def _foresee(self, tx: Transaction, registered: Registered, claims: Claims) -> tuple[str, Foreseen | None]:
        """Return what a sign-in would do, and the role that it would give."""
        link = await rows.find_link(tx, registered.provider.id, claims.key)
        if link is not None and not claims.is_guest:
            account = await account_rows.find(tx, link.account, lock=True)
            return "sign-in", await self._follower.foresee(tx, registered, claims, account)
        found = await self._arrivals.match(tx, registered, claims)
        if isinstance(found, str):
            return found, None
        would = "create" if found[1] is None else "link"
        return would, await self._follower.foresee(tx, registered, claims, found[1])


def is_of_trial(visit: Visit, wait: Wait) -> bool:
    """Whether the administrator who began a trial is the one who comes back."""
    return visit.signed_in is not None and visit.signed_in.id == wait.session
