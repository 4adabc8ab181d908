"""Account recovery from the shell, the only one for owners. Each step is audited."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.cli.common import acting, fail, find_account, find_person
from gateway.cli.passwords import accept, new_password
from gateway.model.counted import counted

if TYPE_CHECKING:
    from gateway.actions.action import Action
    from gateway.app.services import Services
    from gateway.model.account import Account
    from gateway.settings import Settings
    from gateway.store import Store


@dataclass(frozen=True, slots=True)
class Wanted:
    """Options besides clearing failed attempts."""

    reset_2fa: bool
    reset_password: bool
    one_time_link: bool


def describe(account: Account, wanted: Wanted) -> Iterator[str]:
    yield f"clear all failed attempts of {account.identifier}"
    if wanted.reset_2fa:
        yield "reset two-step verification and sign out everywhere; it is set up again at the next sign-in"
    if wanted.reset_password:
        yield "set a new password, sign out everywhere, and print the password once"
    if wanted.one_time_link:
        yield "create and print a link for the sign-in in progress"


async def recover(store: Store, settings: Settings, email: str, wanted: Wanted) -> list[str]:
    """Recover the account, and return the lines to print."""
    from gateway.accounts.change import reset_factors, set_password, unlock
    from gateway.app.services import Services
    from gateway.passwords.policy import Person

    account = await find_person(store, email)
    services = Services(settings, store)
    person = Person(account.identifier, account.name, account.tenant, settings.pages.product)
    accepted = await accept(settings, new_password(), person) if wanted.reset_password else None
    async with acting(settings, store) as action:
        told = [f"cleared {counted(await unlock(action, services.factors, account), 'failure counter')}"]
        if wanted.reset_2fa:
            is_owner = account.identifier in settings.access.owners
            await reset_factors(action, services.factors, account, is_owner=is_owner)
            told.append("two-step verification reset; it is set up again at the next sign-in")
        if accepted is not None:
            await set_password(action, services.factors, account, accepted.hashed, accepted.remarks)
            told.append(f"new password: {accepted.password.reveal()}")
        if wanted.one_time_link:
            told.append(await make_link(action, services, account))
    return told


def describe_securing(account: Account, settings: Settings) -> Iterator[str]:
    yield f"sign {account.identifier} out everywhere, revoke all API tokens, cancel emailed links and email changes"
    if account.password_hash is not None and settings.mail.is_on:
        yield f"replace the password, and email a link to choose a new one to {account.identifier}"
    elif account.password_hash is not None:
        yield "replace the password; without a mail server, set one with `account set-password`"


async def secure(store: Store, settings: Settings, email: str) -> list[str]:
    """End everything of an account, and return the lines to print."""
    from gateway.accounts import rows
    from gateway.app.services import Services
    from gateway.model.secret import Secret

    found = await find_account(store, email)
    services = Services(settings, store)
    try:
        unknown = Secret(services.hasher.hash_now(new_password()))
    finally:
        services.hasher.close()
    async with acting(settings, store) as action:
        account = await rows.find(action.tx, found.id, lock=True)
        if account is None:
            fail(f"{found.identifier} was removed at this moment")
        ended, has_link = await services.replacement.secure(action, account, unknown)
    told = [f"ended {counted(ended.sessions_ended, 'session')} and {counted(ended.tokens_ended, 'API token')}"]
    if account.is_service:
        return told
    if account.password_hash is None:
        return [*told, "no password here: have the access stopped at the identity provider too"]
    if not settings.mail.is_on:
        return [*told, f"password replaced; set a new one: otium-gateway account set-password {account.identifier}"]
    return [*told, "password replaced" + ("; a link to choose a new one was emailed" if has_link else "")]


async def make_link(action: Action, services: Services, account: Account) -> str:
    """Return a sign-in link for the account's attempt with the most proofs."""
    from gateway.factors.contract import Asked
    from gateway.factors.magic_link import rows
    from gateway.model.event import Event
    from gateway.sessions import attempt

    tx, now = action.tx, action.now
    found = await attempt.furthest(tx, account.id, now)
    if found is None:
        fail(f"no sign-in in progress for {account.identifier}: start signing in in the browser, then run this again")
    last = await rows.latest(tx, found.id)
    token = await rows.issue(tx, Asked(account.id, found.id), last.target if last else "/", now)
    await action.record(Event.LOGIN_LINK_SENT, account, {"how": "printed in the shell"})
    link = services.url.address("link_opened", token=token.reveal())
    return f"open this link within ten minutes, in the browser where you're signing in:\n{link}"
