"""Ends sessions because their provider says so: by a logout token, or by its page in the person's browser.

A logout token (OpenID Connect Back-Channel Logout 1.0) comes from the provider itself, as its signature proves. In the
browser (Front-Channel Logout 1.0) nothing is proved: only who knows the `sid` of a sign-in can name it, and all that is
done then is to end the sessions of that sign-in.

Each request counts as a failure of its address until it has ended something. Tokens that name another issuer are
counted apart, because anybody can make a hosted provider send such tokens, from the addresses that it sends ours from.
"""

from __future__ import annotations

from gateway.accounts import rows as account_rows
from gateway.actions.action import Action, Actions, requester
from gateway.crypto.sealing import Sealer
from gateway.login.outcome import LockedOut
from gateway.model.event import Event
from gateway.model.inbound import Inbound
from gateway.observe.logs import get_logger
from gateway.sessions import attempt as attempts
from gateway.sessions import rows as session_rows
from gateway.sso import farewell, origins, rows
from gateway.sso.oidc.addresses import origin_of
from gateway.sso.oidc.exchange import Exchange
from gateway.sso.oidc.logout_token import Logout, issuer_of
from gateway.sso.oidc.record import Provider, Refusal, Refused
from gateway.store import Store
from gateway.store.retry import retried
from gateway.throttle.address_limit import AddressLimit
from gateway.throttle.limits import Limit, Locked

log = get_logger("sso")

MAX_SESSION_ID = 256


class Leaving:
    """`back` is the absolute URL of the page for people who have signed out at the provider as well."""

    def __init__(
        self, *, store: Store, actions: Actions, sealer: Sealer, exchange: Exchange, limit: Limit, back: str
    ) -> None:
        self._store = store
        self._actions = actions
        self._sealer = sealer
        self._exchange = exchange
        self._own = AddressLimit("sso-logout", limit)
        self._foreign = AddressLimit("sso-logout-foreign", limit)
        self._back = back

    async def end_by_token(self, tenant: str, token: str, inbound: Inbound, now: int) -> Logout | Refused | LockedOut:
        """Check a logout token for the provider of a tenant, and end what it names."""
        provider = await self._find(tenant)
        is_own = provider is not None and issuer_of(token) == provider.issuer
        limit = self._own if is_own else self._foreign
        if (lock := limit.find_lock(inbound.address, now)) is not None:
            return LockedOut(lock.until)
        async with self._store.transaction() as tx:
            reserved = await limit.reserve(tx, inbound.address, now)
        if isinstance(reserved, Locked):
            return LockedOut(reserved.until)
        checked: Logout | Refused = Refused(Refusal.ISSUER)
        if provider is not None and is_own:
            checked = await self._exchange.check_logout(provider, token)
            if isinstance(checked, Logout):
                checked = await self._take(provider, checked, inbound, now)
        if isinstance(checked, Refused):
            log.warning("logout_refused", tenant=tenant if provider else "", reason=checked.reason.value)
            await self._record_refusal(provider, checked, inbound, now)
        return checked

    async def end_by_page(self, tenant: str, issuer: str, session_id: str, inbound: Inbound, now: int) -> list[str]:
        """End the sessions of one sign-in. Returns the origins that may frame the answer, which is always the same."""
        provider = await self._find(tenant)
        if provider is None or self._own.find_lock(inbound.address, now) is not None:
            return [] if provider is None else [origin_of(provider.issuer)]
        is_ours = issuer in ("", provider.issuer)
        is_possible = is_ours and len(session_id) <= MAX_SESSION_ID and session_id.isprintable()
        await self._end_named(provider, session_id if is_possible else "", inbound, now)
        metadata = await self._exchange.metadata(provider)
        urls = {provider.issuer}
        if not isinstance(metadata, Refused):
            urls |= {metadata.authorization_endpoint, metadata.end_session_endpoint} - {""}
        return sorted(set(map(origin_of, urls)))

    async def find_way_on(self, token: str, now: int) -> str:
        """Return the URL where somebody who has signed out here signs out at the provider, "" if there is none."""
        origin = farewell.unseal(self._sealer, token, now)
        if origin is None:
            return ""
        async with self._store.reading() as tx:
            registered = await rows.find_provider(tx, self._sealer, origin.provider)
        if registered is None:
            return ""
        metadata = await self._exchange.metadata(registered.provider)
        if isinstance(metadata, Refused):
            return ""
        return farewell.sign_out_url(registered.provider, metadata, origin.hint, self._back)

    async def _find(self, tenant: str) -> Provider | None:
        """Return the tenant's provider, also one that is switched off: it may still end what it has opened."""
        async with self._store.reading() as tx:
            found = await rows.find_of_tenant(tx, self._sealer, tenant)
        return found.provider if found else None

    @retried
    async def _take(self, provider: Provider, logout: Logout, inbound: Inbound, now: int) -> Logout | Refused:
        """Consume a logout token, and end what it names."""
        async with self._actions.begin(requester(inbound, by=provider.issuer), now) as action:
            if not await origins.hold(action.tx, provider.id, alone=True):
                return Refused(Refusal.ISSUER)
            if not await origins.remember(action.tx, provider.id, logout, now):
                return Refused(Refusal.REPLAYED)
            holders = await origins.list_holders(
                action.tx, provider.id, subject=logout.subject, session_id=logout.session_id
            )
            await end_all(action, holders, "back-channel logout")
            await self._own.give_back(action.tx, inbound.address, now)
            return logout

    @retried
    async def _end_named(self, provider: Provider, session_id: str, inbound: Inbound, now: int) -> None:
        async with self._actions.begin(requester(inbound, by=provider.issuer), now) as action:
            if isinstance(await self._own.reserve(action.tx, inbound.address, now), Locked) or not session_id:
                return
            holders = await origins.list_holders(action.tx, provider.id, session_id=session_id)
            await end_all(action, holders, "front-channel logout")
            if holders:
                await self._own.give_back(action.tx, inbound.address, now)

    async def _record_refusal(self, provider: Provider | None, refused: Refused, inbound: Inbound, now: int) -> None:
        tenant, details = provider.tenant if provider else None, {"reason": refused.reason.value}
        async with self._actions.begin(requester(inbound), now) as action:
            await action.record_attempt(Event.SSO_LOGOUT_REFUSED, "", None, details, tenant=tenant)


async def end_all(action: Action, holders: list[str], how: str) -> None:
    """End sessions, and attempts that are about to become some."""
    for holder in holders:
        await attempts.end(action.tx, holder, action.now)
        session = await session_rows.find_open(action.tx, holder)
        account = await account_rows.find(action.tx, session.account) if session else None
        if account is not None and await session_rows.end(action.tx, holder, action.now):
            await action.record(Event.LOGOUT, account, {"how": how}, holder)
