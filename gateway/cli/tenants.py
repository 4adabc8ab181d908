"""Commands on tenants and their claimed email domains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.common import (
    AsJSON,
    Config,
    Confirm,
    Row,
    ask_first,
    check_tenant,
    fail,
    operator,
    settings_of,
    show,
    with_store,
)
from gateway.model.clock import utc

if TYPE_CHECKING:
    from gateway.accounts.claims import Claim
    from gateway.model.event import Event
    from gateway.store import Store, Transaction

program = typer.Typer(help="Customer companies and their email domains.", no_args_is_help=True)

Slug = Annotated[str, typer.Argument(help="The tenant.")]
Domain = Annotated[str, typer.Argument(help="What stands after the @, like acme.example.")]


@program.command("list")
def list_tenants(config: Config = None, as_json: AsJSON = False) -> None:
    """List the tenants, with the email domains that each has claimed."""
    from gateway.accounts import claims, directory

    async def read(store: Store) -> list[Row]:
        async with store.reading() as tx:
            claimed = await claims.list_all(tx)
            return [
                {
                    "tenant": tenant.slug,
                    "name": tenant.name,
                    "status": "active" if tenant.is_active else "suspended",
                    "people": tenant.count,
                    "domains": ",".join(claim.domain for claim in claimed if claim.tenant == tenant.slug),
                }
                for tenant in await directory.list_tenants(tx)
            ]

    show(with_store(settings_of(config), read), as_json)


@program.command("claim")
def claim_domain(tenant: Slug, domain: Domain, config: Config = None) -> None:
    """Reserve an email domain and its subdomains for one tenant: no other tenant gets new accounts there."""
    from gateway.accounts import claims
    from gateway.accounts.claims import Claim, check_claim
    from gateway.model.event import Event

    claim = Claim(check_claim(domain), tenant)

    async def change(store: Store) -> int:
        async with store.transaction() as tx:
            await check_tenant(tx, tenant)
            held = await claims.add(tx, claim, operator(), utc())
            if held != claim:
                fail(f"{claim.domain} belongs to {held.tenant}; release it there first")
            await note(tx, Event.DOMAIN_CLAIMED, claim)
            return await claims.count_strangers(tx, claim)

    strangers = with_store(settings_of(config), change)
    more = f"; accounts of other tenants with an email there, which stay: {strangers}" if strangers else ""
    typer.echo(f"{claim.domain} is {tenant}'s{more}")


@program.command("release")
def release_domain(tenant: Slug, domain: Domain, confirm: Confirm = False, config: Config = None) -> None:
    """Let every tenant use addresses at an email domain again."""
    from gateway.accounts import claims
    from gateway.accounts.claims import Claim, check_claim
    from gateway.model.event import Event

    claim = Claim(check_claim(domain), tenant)

    async def look(store: Store) -> int:
        async with store.reading() as tx:
            if claim not in await claims.list_all(tx):
                fail(f"{tenant} has not claimed {claim.domain}")
            return await claims.count_people(tx, claim)

    async def change(store: Store) -> None:
        async with store.transaction() as tx:
            if not await claims.release(tx, claim):
                fail(f"{tenant} has not claimed {claim.domain}")
            await note(tx, Event.DOMAIN_RELEASED, claim)

    settings = settings_of(config)
    people = with_store(settings, look)
    release_it = f"release {claim.domain} from {tenant}; its people with an address there: {people}"
    if not ask_first(release_it, confirm, "let every tenant invite and sign up people there"):
        return
    with_store(settings, change)
    typer.echo(f"{claim.domain} is nobody's")


async def note(tx: Transaction, event: Event, claim: Claim) -> None:
    from gateway.audit import rows as audit
    from gateway.model.entry import ACTOR, Entry, Outcome

    details = {ACTOR: operator(), "tenant": claim.tenant, "domain": claim.domain}
    entry = Entry(event, Outcome.SUCCESS, utc(), "", tenant=claim.tenant, request_id="cli", details=details)
    await audit.record(tx, entry)
