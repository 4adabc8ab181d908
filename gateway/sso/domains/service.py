"""A tenant proves that a domain is its own: it publishes a random value in the domain's DNS, and we look it up.

The value belongs to one tenant and one domain, so nobody else's record proves anything. It is looked up once; the claim
stays when the record goes. A claim only ever keeps others out, and leads its people to their provider: who may sign up
is a matter of the settings alone (`signup.mode`).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from gateway.accounts import claims
from gateway.accounts.authors import is_admin
from gateway.accounts.claims import Claim
from gateway.actions.action import Actions, requester
from gateway.model.event import Event
from gateway.model.inbound import Inbound
from gateway.model.session import Session
from gateway.settings.record import Signup
from gateway.sso.domains import rows
from gateway.sso.domains.lookup import Lookup, Unanswered, record_name
from gateway.sso.domains.rows import Challenge
from gateway.sso.domains.shared import is_shared
from gateway.store import Store, Transaction
from gateway.throttle import limits
from gateway.throttle.limits import Limit, Locked

MOST_DOMAINS = 20  # of a tenant, proved and waiting
CHECKS = Limit(failures=5, window_seconds=60, lock_seconds=60)  # by tenant
VALUE_BYTES = 20
MAX_NAME = 253  # RFC 1035 §2.3.4, without the last dot
MAX_SHOWN = 120  # characters of a text that somebody else published


class Result(Enum):
    DONE = "done"
    NOT_THERE = "not_there"
    TOO_LONG = "too_long"
    SHARED = "shared"  # of a mail provider, or a suffix
    TAKEN = "taken"  # another tenant's
    OWN = "own"  # the tenant has it already
    TOO_MANY = "too_many"
    BUSY = "busy"  # looked up too often just now
    MISSING = "missing"  # no record
    DOUBLED = "doubled"  # the record is at a name with the domain twice
    OTHER = "other"  # records, but not this one
    LATE = "late"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Checked:
    """What was looked up. `texts` are those that were found in place of the right one."""

    result: Result
    texts: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Domains:
    """A tenant's own domains, and those that wait to be proved."""

    claims: Sequence[Claim]
    waiting: Sequence[Challenge]


class DomainService:
    def __init__(self, store: Store, actions: Actions, lookup: Lookup, signup: Signup) -> None:
        self._store = store
        self._actions = actions
        self._lookup = lookup
        self._signup: Mapping[str, str] = signup.domains if signup.mode == "domains" else {}

    async def look(self, tenant: str) -> Domains:
        async with self._store.reading() as tx:
            return await read(tx, tenant)

    async def begin(self, tenant: str, domain: str, now: int) -> Result:
        """Make a value for a domain in its ASCII form, unless it has one already."""
        if len(record_name(domain)) > MAX_NAME:
            return Result.TOO_LONG
        if is_shared(domain):
            return Result.SHARED
        async with self._store.transaction() as tx:
            if (problem := await self._find_problem(tx, tenant, domain)) is not None:
                return problem
            held = await read(tx, tenant)
            if len(held.claims) + len(held.waiting) >= MOST_DOMAINS:
                return Result.TOO_MANY
            await rows.add(tx, Challenge(tenant, domain, secrets.token_hex(VALUE_BYTES)), now)
        return Result.DONE

    async def drop(self, tenant: str, domain: str) -> Result:
        """Give up proving a domain."""
        async with self._store.transaction() as tx:
            found = await rows.find(tx, tenant, domain)
            return Result.DONE if found and await rows.consume(tx, found) else Result.NOT_THERE

    async def check(self, author: Session, domain: str, inbound: Inbound, now: int) -> Checked:
        """Look the record up, and claim the domain if it is right."""
        async with self._store.transaction() as tx:
            waiting = await rows.find(tx, author.tenant, domain)
            if waiting is None:
                return Checked(Result.NOT_THERE)
            if isinstance(await limits.reserve(tx, f"sso-domains:{author.tenant}", CHECKS, now), Locked):
                return Checked(Result.BUSY)
        found = await self._lookup.find(record_name(domain))
        if isinstance(found, Unanswered):
            return Checked(Result.LATE if found is Unanswered.LATE else Result.FAILED)
        if not is_among(waiting.value, found):
            if not found and is_among(waiting.value, await self._lookup.find(doubled_name(domain))):
                return Checked(Result.DOUBLED)
            return Checked(Result.OTHER if found else Result.MISSING, [shown(text) for text in found])
        async with self._actions.begin(requester(inbound, author.id), now) as action:
            # The domain's own name servers have answered meanwhile, as slowly as they liked.
            if not await is_admin(action.tx, author) or not await rows.consume(action.tx, waiting):
                return Checked(Result.NOT_THERE)
            if (problem := await self._find_problem(action.tx, author.tenant, domain)) is not None:
                return Checked(problem)
            claim = Claim(domain, author.tenant, is_proved=True)
            if await claims.add(action.tx, claim, author.identifier, now) != claim:
                return Checked(Result.TAKEN)
            await action.record_own(Event.DOMAIN_CLAIMED, author, {"domain": domain, "how": "dns"})
        return Checked(Result.DONE)

    async def count_people(self, tenant: str, domain: str) -> int | None:
        """Count the tenant's people with an address at a domain that it proved; None if it didn't."""
        async with self._store.reading() as tx:
            claim = await find_proved(tx, tenant, domain)
            return None if claim is None else await claims.count_people(tx, claim)

    async def release(self, author: Session, domain: str, inbound: Inbound, now: int) -> Result:
        """Give up a domain that the tenant proved. One that the owner granted is for the owner to take."""
        async with self._actions.begin(requester(inbound, author.id), now) as action:
            claim = await find_proved(action.tx, author.tenant, domain)
            if claim is None or not await claims.release(action.tx, claim):
                return Result.NOT_THERE
            await action.record_own(Event.DOMAIN_RELEASED, author, {"domain": domain})
        return Result.DONE

    async def _find_problem(self, tx: Transaction, tenant: str, domain: str) -> Result | None:
        """Return why the tenant can't have the domain. The owner's settings of sign-up count as claims."""
        claim = await claims.find(tx, domain)
        if claim is not None:
            return Result.OWN if claim.tenant == tenant else Result.TAKEN
        is_taken = any(
            owner != tenant and (name == domain or name.endswith(f".{domain}")) for name, owner in self._signup.items()
        )
        return Result.TAKEN if is_taken else None


async def read(tx: Transaction, tenant: str) -> Domains:
    own = [claim for claim in await claims.list_all(tx) if claim.tenant == tenant]
    return Domains(own, await rows.list_of(tx, tenant))


async def find_proved(tx: Transaction, tenant: str, domain: str) -> Claim | None:
    claim = await claims.find(tx, domain)
    return claim if claim is not None and claim.is_proved and (claim.domain, claim.tenant) == (domain, tenant) else None


def is_among(value: str, found: list[bytes] | Unanswered) -> bool:
    """Whether a value was published. Some consoles of DNS providers leave quotes or spaces around it."""
    return isinstance(found, list) and value.encode() in [text.strip().strip(b'"').strip() for text in found]


def doubled_name(domain: str) -> str:
    """Return where a record ends up if the console adds the domain to a name that has it already."""
    return f"{record_name(domain)}.{domain}"


def shown(text: bytes) -> str:
    """Return a text that somebody published, for the page."""
    return "".join(sign if sign.isprintable() else "?" for sign in text[:MAX_SHOWN].decode("ascii", "replace"))
