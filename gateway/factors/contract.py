"""The contract of a factor, and the registry of all factors.

A factor is a folder, registered by one line in app/factors.py. All other code uses the registry, `Factors`, and names
no factor. The operations:

    challenge   the factor is next: send a link, for example
    verify      compare the code and consume it in one statement, so that of concurrent requests one gets Right
    enrol       set it up for an account; call `factors.enrolment` in the same transaction
    forget      remove it

A factor doesn't limit or count failures, and writes no audit rows or mails, so it can't forget to: login.guard does
so for failures, and login.flow for successes, from the `News` that the factor returns. All this happens in the
transaction that the factor is given.

By default, each method does nothing or refuses.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from sqlalchemy import ColumnElement, or_, select

from gateway.model.account import Account
from gateway.model.event import Event
from gateway.model.factor import Enrolled, Factor, Proof
from gateway.model.factor_policy import Second
from gateway.model.inbound import Inbound
from gateway.model.secret import Secret
from gateway.model.sentence import Sentence
from gateway.model.session import Session
from gateway.settings.mistakes import Said
from gateway.settings.record import Settings
from gateway.store import Transaction
from gateway.store.schema import accounts
from gateway.store.stored import Stored
from gateway.web.routes import Pages

NO_REMARK = Sentence()


class Reason(StrEnum):
    """Why a code was refused."""

    WRONG = "wrong"
    USED = "used"  # right, but consumed before: no guess, so it costs no try
    LATE = "late"  # right some minutes ago: the phone's clock is slow
    EXPIRED = "expired"
    SUPERSEDED = "superseded"  # a newer one was sent
    MANY = "many"  # the account has as many as it may have


@dataclass(frozen=True, slots=True)
class News:
    """An event to report: an audit row, and a mail to the person with the same details."""

    event: Event
    mail: str
    details: Mapping[str, int | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Right:
    """The code was right and is consumed. `details`, such as a passkey's name, go to the audit row of the proof."""

    news: News | None = field(default=None, compare=False)
    details: Mapping[str, str] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Wrong:
    """`minutes` is how late the code was, for Reason.LATE."""

    reason: Reason = Reason.WRONG
    minutes: int = 0


@dataclass(frozen=True, slots=True)
class SetUp:
    """The factor is enrolled. `is_first`: those that go with it are renewed, because it is the first or a new one."""

    news: News
    is_first: bool = True


@dataclass(frozen=True, slots=True)
class Panel:
    """A factor's part of the overview /me/security: a template, and its variable `panel`. It also has `done`, the name
    of the change that led there.
    """

    template: str
    facts: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Done:
    """What the overview says after a change that led to it, in paragraphs. `goes_on`: the person may have come from
    elsewhere, and is offered the way back. `frees_devices`: they are offered to sign out all other devices.
    """

    said: tuple[Sentence, ...]
    goes_on: bool = False
    frees_devices: bool = True


@dataclass(frozen=True, slots=True)
class Summary:
    """One thing that a person has set up for a factor, as administrators see it: an app, a passkey. Times are UTC
    seconds. `name` is what the person calls it, if anything.
    """

    factor: Factor
    added_at: int | None
    used_at: int | None
    name: str = ""
    remark: Sentence = NO_REMARK


@dataclass(frozen=True, slots=True)
class Way:
    """A factor that an account signs in with. `detail` is the identity provider's issuer, for example, or ""."""

    factor: Factor
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """The account that must prove itself, and the id of the attempt or session that gets the proof."""

    account: str
    holder: str


class FactorContract(Protocol):
    """One factor. `page` is the name of the route that asks for it."""

    name: ClassVar[Factor]
    label: ClassVar[Sentence]
    """Its name for lists, within a sentence."""
    means: ClassVar[Sentence]
    """What somebody signed in with, in the sentence of the audit log that says so: “a passkey”."""
    page: ClassVar[str]
    counts_as: ClassVar[tuple[Factor, ...]] = ()
    """The factors that its proof counts as, if not itself: a backup code counts as TOTP."""
    first_template: str = ""
    """What the sign-in page shows for it as a first proof, if it can be one."""
    is_guessable: ClassVar[bool] = True
    """Whether a wrong proof may be a guess. If not, the flow neither limits nor locks it, and only records refusals."""
    way_in: ColumnElement[bool] | None = None
    """A condition on `accounts`: whether the account signs in with it, and needs no other first proof to do so."""
    goes_with: ClassVar[frozenset[Factor]] = frozenset()
    """The factors with the first of which it is renewed, and with the last removed: for backup codes, second steps."""

    async def verify(self, tx: Transaction, asked: Asked, given: Secret[str], now: int) -> Right | Wrong:
        """Compare the code `given` and consume it. Of concurrent requests, exactly one gets Right."""
        return Wrong()

    async def challenge(self, account: Account, holder: str, target: str, inbound: Inbound, now: int) -> str:
        """Prepare it as the next factor. Returns an addition to the query of its page, like "&mail=many"."""
        return ""

    def is_usable(self, enrolled: Enrolled, second: Second) -> bool:
        """Whether an account with these enrolled factors may use it; `second` is what its second step must be."""
        return True

    async def enrol(
        self, tx: Transaction, account: Account, offered: str, given: Secret[str], now: int
    ) -> SetUp | Wrong:
        """Set up what was `offered`, if the code `given` proves that the person has it."""
        return Wrong()

    async def renew(self, tx: Transaction, account: str, now: int) -> tuple[Secret[str], ...]:
        """Renew it, because the factor that it `goes_with` was enrolled. Returns codes to be shown once."""
        return ()

    async def is_left(self, tx: Transaction, account: str) -> bool:
        """Whether it can take the place of a factor that it `goes_with` and that was lost."""
        return False

    async def forget(self, tx: Transaction, account: str) -> bool:
        """Remove it from the account with that id. Returns whether it was enrolled."""
        return False

    async def reset(self, tx: Transaction, account: str, now: int, *, is_owner: bool) -> None:
        """Remove it on behalf of an administrator. A factor may then require a new enrolment."""
        await self.forget(tx, account)

    async def distrust(self, tx: Transaction, account: str) -> None:
        """Rely on it less, because the password was changed: whoever knew the old one may have set this factor up."""
        return

    async def suspect(self, tx: Transaction, account: str, since: int) -> None:
        """Forget what was set up for the account since then: its email was another person's, who undid that now.

        Not second steps: else whoever has the mailbox could remove them.
        """
        return

    async def take_along(self, tx: Transaction, attempt: str, session: str) -> None:
        """Let what it has noted of an attempt, whose proof it gave, be that of the session that this has become."""
        return

    async def way_out(self, tx: Transaction, session: Session, now: int) -> str:
        """Return the page for somebody who has signed out, if there is more to sign out of than here; "" if not."""
        return ""

    async def panel(self, tx: Transaction, session: Session, used_at: int | None) -> Panel | None:
        """Return its part of the overview. `used_at` is its last proof on any device, in UTC seconds."""
        return None

    async def summarise(self, tx: Transaction, account: str) -> list[Summary]:
        """Return what the account with that id has set up, for administrators."""
        return []

    async def describe_way(self, tx: Transaction, account: str) -> str:
        """Return the detail of the way in that the account with that id has by this factor."""
        return ""

    def limits_of(self, account: Account) -> tuple[str, ...]:
        """Return the key prefixes of its own rate limits, which unlocking the account clears."""
        return ()


F = TypeVar("F", bound=FactorContract)
N = TypeVar("N", contravariant=True)  # the dependencies of a factor


@dataclass(frozen=True, slots=True)
class Folder(Generic[N]):
    """The contents of a factor's folder: its class, the function that constructs it, its pages and its tables.

    `advise` and `inspect` are start-up checks: they return warnings about the settings, and about what is stored if it
    doesn't suit them. `mails` has sample values for each mail in the folder's `mail/`, by its name. `done` has what the
    overview says after a change, by the `done` of its query.
    """

    kind: type[FactorContract]
    build: Callable[[N], FactorContract]
    pages: tuple[Pages[Any, Any], ...] = ()
    stored: tuple[Stored, ...] = ()
    advise: Callable[[Settings], Iterable[Said]] = lambda settings: ()
    inspect: Callable[[Transaction, Settings], Awaitable[Sequence[Said]]] | None = None
    mails: Mapping[str, Mapping[str, str | int]] = field(default_factory=dict)
    done: Mapping[str, Done] = field(default_factory=dict)


def shows(factor: FactorContract) -> tuple[Factor, ...]:
    return factor.counts_as or (factor.name,)


def proof_of(factor: FactorContract, now: int) -> Proof:
    return Proof(factor.name, now, factor.counts_as)


class Factors:
    """All factors by name, in the order in which lists show them."""

    def __init__(self, factors: Iterable[FactorContract]) -> None:
        self._by_name = {factor.name: factor for factor in factors}

    def find(self, kind: type[F]) -> F:
        """Return the factor of that class."""
        return next(factor for factor in self if isinstance(factor, kind))

    def __getitem__(self, name: Factor) -> FactorContract:
        return self._by_name[name]

    async def summarise(self, tx: Transaction, account: str) -> list[Summary]:
        """Return what the account with that id has set up, of all factors."""
        return [summary for factor in self for summary in await factor.summarise(tx, account)]

    @property
    def has_way_in(self) -> ColumnElement[bool]:
        """A condition on `accounts`: whether the account signs in with any factor. If not, it is only invited."""
        return or_(*(factor.way_in for factor in self if factor.way_in is not None))

    async def list_ways(self, tx: Transaction, account: str) -> list[Way]:
        """Return what the account with that id signs in with."""
        found = []
        for factor in self:
            if factor.way_in is not None and await matches(tx, account, factor.way_in):
                found.append(Way(factor.name, await factor.describe_way(tx, account)))
        return found

    async def suspect(self, tx: Transaction, account: str, since: int) -> None:
        """Have every factor forget what a stranger may have set up (see FactorContract.suspect)."""
        for factor in self:
            await factor.suspect(tx, account, since)

    async def signs_in(self, tx: Transaction, account: str) -> bool:
        """Whether the account with that id signs in with any factor."""
        return await matches(tx, account, self.has_way_in)

    def companions(self, name: Factor) -> Iterator[FactorContract]:
        return (factor for factor in self if name in factor.goes_with)

    def of(self, proofs: Iterable[Proof]) -> Iterator[FactorContract]:
        """Return those that gave the proofs, as far as this version knows them."""
        return (self._by_name[proof.factor] for proof in proofs if proof.factor in self._by_name)

    def __contains__(self, name: Factor) -> bool:
        return name in self._by_name

    def __iter__(self) -> Iterator[FactorContract]:
        return iter(self._by_name.values())


async def matches(tx: Transaction, account: str, condition: ColumnElement[bool]) -> bool:
    """Whether the account with that id exists and meets a condition."""
    query = select(accounts.c.id).where(accounts.c.id == account, condition)
    return (await tx.execute(query)).first() is not None
