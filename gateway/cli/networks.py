"""Commands on network rules, also to let people in again after a rule has locked them out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.common import (
    AsJSON,
    Config,
    Confirm,
    acting,
    ask_first,
    check_tenant,
    fail,
    find_account,
    reaches_of,
    settings_of,
    show,
    with_store,
)
from gateway.model.clock import utc
from gateway.model.counted import counted

if TYPE_CHECKING:
    from gateway.model.network_rule import Ranges, Sections
    from gateway.store import Store

Email = Annotated[str | None, typer.Option("--account", help="The account's email.")]
Slug = Annotated[str | None, typer.Option("--tenant", help="The tenant.")]

program = typer.Typer(help="From which networks people may sign in and send requests.", no_args_is_help=True)


@program.command("show")
def show_networks(tenant: Slug = None, account: Email = None, config: Config = None, as_json: AsJSON = False) -> None:
    """Show the lists of a tenant, or of an account."""
    from gateway.model.network_rule import EXEMPT, read_stored

    check_one(tenant, account)

    async def read(store: Store) -> Sections:
        return read_stored(await find_text(store, tenant, account))

    name_of = of_tenant if tenant else of_account
    sections = with_store(settings_of(config), read)
    table = [
        {
            "list": name_of(section),
            "network": str(entry.network),
            "name": entry.name,
            "until": str(entry.until or "always"),
        }
        for section, ranges in sections.items()
        for entry in ranges
    ]
    if EXEMPT in sections:
        table.append({"list": "exempt from the tenant's", "network": "any", "name": "", "until": "always"})
    show(table, as_json)


@program.command("set")
def set_networks(
    networks: Annotated[list[str], typer.Argument(help="Each like '203.0.113.0/24 Office until 2026-12-31'.")],
    tenant: Slug = None,
    account: Email = None,
    role: Annotated[str, typer.Option(help="Only for this role of the tenant, instead of its list for everyone.")] = "",
    confirm: Confirm = False,
    config: Config = None,
) -> None:
    """Replace a list: a tenant's, that of one of its roles, or the administrator's list of an account."""
    from gateway.model.account import Role
    from gateway.model.network_rule import ADMINISTRATOR

    check_one(tenant, account)
    if role and (account or role not in list(Role)):
        fail(f"--role goes with --tenant, and is one of {', '.join(Role)}")
    ranges, section = read_lines(networks), ADMINISTRATOR if account else role

    def replace(sections: Sections) -> Sections:
        return {**sections, section: ranges}

    change(tenant, account, config, replace, "set the networks", confirm=confirm)


@program.command("clear")
def clear(tenant: Slug = None, account: Email = None, confirm: Confirm = False, config: Config = None) -> None:
    """Remove all lists of a tenant, or of an account: the way back in."""
    from gateway.model.network_rule import EXEMPT

    check_one(tenant, account)

    def remove(sections: Sections) -> Sections:
        return {EXEMPT: ()} if EXEMPT in sections else {}

    change(tenant, account, config, remove, "remove the networks", confirm=confirm)


@program.command("exempt")
def exempt(
    account: Annotated[str, typer.Argument(help="The account's email.")],
    ends: Annotated[bool, typer.Option("--end", help="The tenant's rule applies again.")] = False,
    config: Config = None,
) -> None:
    """Let an account in from everywhere, whatever its tenant's list: for break-glass accounts."""
    from gateway.model.network_rule import EXEMPT

    def mark(sections: Sections) -> Sections:
        others = {name: ranges for name, ranges in sections.items() if name != EXEMPT}
        return others if ends else {**others, EXEMPT: ()}

    change(None, account, config, mark, "", confirm=True)


def check_one(tenant: str | None, account: str | None) -> None:
    if bool(tenant) == bool(account):
        fail("say either --tenant or --account")


def read_lines(lines: list[str]) -> Ranges:
    from gateway.model.network_rule import Mistake, check, read_typed

    try:
        ranges = read_typed("\n".join(lines))
        check(ranges, utc())
    except Mistake as error:
        fail(f"{error.why} {error.line}".strip())
    return ranges


async def find_text(store: Store, tenant: str | None, account: str | None) -> str:
    """Return the stored lists. Raises Failed if there is no such tenant or account."""
    from gateway.networks import rows

    found = await find_account(store, account) if account else None
    async with store.reading() as tx:
        if found is not None:
            return await rows.find_of_account(tx, found.id)
        await check_tenant(tx, tenant)
        return await rows.find_of_tenant(tx, tenant or "")


def change(
    tenant: str | None,
    account: str | None,
    config: Config,
    edit: Callable[[Sections], Sections],
    what: str,
    *,
    confirm: bool,
) -> None:
    """Change the lists of a tenant, which needs `confirm`, or of an account, whose person gets an email."""
    from gateway.model.network_rule import read_stored, write_sections
    from gateway.networks.service import edit_of_account, edit_of_tenant

    settings = settings_of(config)

    async def work(store: Store) -> str:
        if tenant:
            text = write_sections(edit(read_stored(await find_text(store, tenant, None))))
            hit = await reaches_of(settings, store).outside_of(tenant, text, utc())
            refused = f"{counted(hit.sessions, 'session')} of {counted(hit.people, 'person', 'people')}"
            refused += f" and {counted(hit.tokens, 'API token')}" if hit.tokens else ""
            if not ask_first(f"{what} of {tenant}, which refuses {refused} from now on", confirm):
                return ""
        found = await find_account(store, account) if account else None
        async with acting(settings, store) as action:
            if found is not None:
                is_new = await edit_of_account(action, found, edit)
            else:
                is_new = await edit_of_tenant(action, tenant or "", edit)
        return f"the networks of {tenant or account} {'are changed' if is_new else 'were so already'}"

    said = with_store(settings, work)
    if said:
        typer.echo(said)


def of_tenant(section: str) -> str:
    return section or "everyone"


def of_account(section: str) -> str:
    return section or "their own"
