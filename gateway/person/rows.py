"""What the store knows of one account that decides whether its owner can sign in. Reads only."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, or_, select

from gateway.accounts.directory import Member
from gateway.accounts.links import LIFE_SECONDS, Purpose, is_open, mailed_links
from gateway.factors.contract import Factors, Way
from gateway.login.guard import MOST_FAILURES
from gateway.model.account import Account
from gateway.model.clock import DAY
from gateway.model.event import Event
from gateway.model.factor import Factor
from gateway.model.factor_policy import FactorPolicy, read_tenant_policy
from gateway.model.network_rule import NetworkRule
from gateway.ops import blocks
from gateway.person.standing import Facts, LastMail, Lock
from gateway.store import Transaction
from gateway.store.schema import accounts, audit, limits, outbox, sessions, streaks, tenants
from gateway.throttle.limits import KNOWN

REFUSED_SECONDS = 7 * DAY  # how long a refusal by the allowed networks is told
MAIL_SECONDS = 120  # a new email may be on its way for so long
MAX_LOCKS = 10
MAX_ADDRESSES = 10  # of a person's latest devices


async def read_facts(
    tx: Transaction, member: Member, ways: Sequence[Way], factors: Factors, policy: FactorPolicy, now: int
) -> Facts:
    """Return what is stored about a person's account."""
    account = member.account
    columns = tenants.c.status, tenants.c.factor_policy, tenants.c.networks, accounts.c.networks, accounts.c.disabled_by
    query = select(*columns).join(accounts, accounts.c.tenant == tenants.c.slug).where(accounts.c.id == account.id)
    status, of_tenant, networks, own_networks, disabled_by = (await tx.execute(query)).one()
    rule = policy.networks_of(account.identifier, account.role, networks, own_networks)
    waits, blocked_codes = await read_streaks(tx, account.id, now)
    return Facts(
        account,
        member.has_way_in,
        is_tenant_active=status == "active",
        disabled_by=disabled_by,
        policy=read_tenant_policy(of_tenant),
        ways=frozenset(way.factor for way in ways),
        invited_until=None if member.has_way_in else await find_invitation(tx, account.id, now),
        locks=(*await list_locks(tx, account, factors, now), *waits),
        blocked_codes=blocked_codes,
        invited_at=None if member.has_way_in else await find_last_invitation(tx, account),
        mail=await find_last_mail(tx, account, now),
        networks=rule,
        refused=await find_refused(tx, account, rule, now) if rule else None,
        blocks=await list_blocks(tx, account.id, now),
    )


async def find_invitation(tx: Transaction, account: str, now: int) -> int | None:
    """Return until when the account's invitation works, in UTC seconds; None if none does."""
    life = LIFE_SECONDS[Purpose.INVITATION]
    query = select(mailed_links.c.created_at).where(
        mailed_links.c.account == account,
        mailed_links.c.purpose == Purpose.INVITATION.value,
        is_open,
        mailed_links.c.created_at > now - life,
    )
    created_at = (await tx.execute(query.order_by(mailed_links.c.created_at.desc()).limit(1))).scalar_one_or_none()
    return None if created_at is None else created_at + life


async def find_last_invitation(tx: Transaction, account: Account) -> int | None:
    """Return when the last invitation was mailed to the account's address, as long as the outbox knows (30 days)."""
    query = select(func.max(outbox.c.created_at)).where(
        outbox.c.account == account.id, outbox.c.recipient == account.identifier, outbox.c.template == "invitation"
    )
    found: int | None = (await tx.execute(query)).scalar_one()
    return found


async def list_locks(tx: Transaction, account: Account, factors: Factors, now: int) -> list[Lock]:
    """Return the lockouts of an account's passwords and codes, by the address that was locked out."""
    codes = f"code:{account.id}|"
    prefixes = [codes, *(prefix for factor in factors for prefix in factor.limits_of(account))]
    query = select(limits.c.key, limits.c.locked_until).where(
        limits.c.locked_until > now, or_(*(limits.c.key.startswith(prefix, autoescape=True) for prefix in prefixes))
    )
    found = await tx.execute(query.order_by(limits.c.locked_until.desc(), limits.c.key).limit(MAX_LOCKS))
    return [read_lock(key, codes, until) for key, until in found]


def read_lock(key: str, codes: str, until: int) -> Lock:
    address = key.rpartition("|")[2]
    return Lock(key.startswith(codes), address.removesuffix(KNOWN), until, is_of_known=address.endswith(KNOWN))


async def read_streaks(tx: Transaction, account: str, now: int) -> tuple[list[Lock], tuple[Factor, ...]]:
    """Return the waits after wrong codes from anywhere, and the factors that take no more codes until a reset."""
    query = select(streaks.c.factor, streaks.c.failures, streaks.c.wait_until, streaks.c.origin).where(
        streaks.c.account == account, or_(streaks.c.failures >= MOST_FAILURES, streaks.c.wait_until > now)
    )
    rows = (await tx.execute(query.order_by(streaks.c.factor, streaks.c.origin))).all()
    locks = [Lock(True, "", row.wait_until, row.origin != "") for row in rows if row.failures < MOST_FAILURES]
    blocked = {Factor(row.factor) for row in rows if row.failures >= MOST_FAILURES}
    return locks, tuple(sorted(blocked))


async def find_last_mail(tx: Transaction, account: Account, now: int) -> LastMail | None:
    """Return the newest email to the account, if it wasn't delivered: given up, or waiting for some minutes."""
    columns = outbox.c.template, outbox.c.created_at, outbox.c.abandoned_at, outbox.c.trouble, outbox.c.sent_at
    query = select(*columns).where(outbox.c.account == account.id, outbox.c.recipient == account.identifier)
    newest = (await tx.execute(query.order_by(outbox.c.created_at.desc(), outbox.c.id).limit(1))).one_or_none()
    if newest is None or newest.sent_at is not None:
        return None
    is_on_its_way = newest.abandoned_at is None and newest.created_at > now - MAIL_SECONDS
    return None if is_on_its_way else LastMail(*newest[:4])


async def find_refused(tx: Transaction, account: Account, rule: NetworkRule, now: int) -> tuple[str, int] | None:
    """Return the last address that the networks refused, and when; None if it is allowed by now."""
    query = select(audit.c.address, audit.c.at).where(
        audit.c.identifier == account.identifier,
        audit.c.at > now - REFUSED_SECONDS,
        audit.c.account == account.id,
        audit.c.event == Event.NETWORK_REFUSED.value,
    )
    row = (await tx.execute(query.order_by(audit.c.at.desc()).limit(1))).one_or_none()
    return (row.address, row.at) if row and rule.refuse(row.address, now) else None


async def list_blocks(tx: Transaction, account: str, now: int) -> tuple[tuple[str, int], ...]:
    """Return the addresses of the person's latest devices that the platform owner has blocked, and until when."""
    blocked = await blocks.list_active(tx, now)
    if not blocked:
        return ()
    query = select(sessions.c.address).where(sessions.c.account == account).order_by(sessions.c.started_at.desc())
    addresses = dict.fromkeys((await tx.execute(query.limit(MAX_ADDRESSES))).scalars())
    found = ((address, blocks.find_block(address, blocked)) for address in addresses)
    return tuple((address, block.until) for address, block in found if block is not None)
