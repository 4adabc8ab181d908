"""What a factor is to everybody else: the few things that a sign-in, an administrator and the store ask of each.

A factor lives in a folder and is registered by one line in app/factors.py; everything else goes through the registry
of all of them, `Factors`, and knows none by name. The order of events:

    challenge   it is this factor's turn: send or prepare what the person answers to
    verify      compare the answer and consume it, in one statement: of fifty equal requests at once one gets Right
    enrol       make it the account's; `factors.enrolment` notes that in the same transaction
    forget      take it away again

A factor neither limits nor counts failures, and writes neither audit row nor mail. What is refused, login.guard counts
and writes down for all of them; what is to be told of a success, the factor returns (`News`) and login.flow tells. So
none can forget to. All of it happens in the transaction that the factor is given: what was consumed, what it allows and
what is written about it happen together or not at all.

Each method does nothing, and refuses, unless a factor says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from gateway.model.account import Account
from gateway.model.event import Event
from gateway.model.factor import Enrolled, Factor, Proof
from gateway.model.inbound import Inbound
from gateway.model.secret import Secret
from gateway.model.session import Session
from gateway.store import Transaction
from gateway.store.stored import Stored
from gateway.web.routes import Pages


class Reason(StrEnum):
    """Why a response was refused."""

    WRONG = "wrong"
    USED = "used"  # it was right once; nobody gains by sending it again, so it costs no try
    LATE = "late"  # right some minutes ago: the clock that made it is slow
    EXPIRED = "expired"
    SUPERSEDED = "superseded"  # a newer one was sent


@dataclass(frozen=True, slots=True)
class News:
    """What happened beside the sign-in: an audit row, and a mail to the person with the same details."""

    event: Event
    mail: str
    details: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Right:
    """It was right, and is used up now."""

    news: News | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Wrong:
    """`minutes` says how late, where that is the reason."""

    reason: Reason = Reason.WRONG
    minutes: int = 0


@dataclass(frozen=True, slots=True)
class SetUp:
    """The factor is the account's now."""

    news: News


@dataclass(frozen=True, slots=True)
class Panel:
    """What the overview of a person's factors shows of one: a template, and what it is given as `panel`."""

    template: str
    facts: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Asked:
    """Who is to prove something: the account, and the attempt or session (its id) that the proof is for."""

    account: str
    holder: str


class FactorContract(Protocol):
    """One factor. `page` is the name of the route where it is proved."""

    name: ClassVar[Factor]
    page: ClassVar[str]
    counts_as: ClassVar[tuple[Factor, ...]] = ()
    """The factors that a proof of this one shows, if not itself: a backup code shows TOTP."""
    goes_with: ClassVar[Factor | None] = None
    """It is made anew whenever this other factor is set up, and taken away with it."""

    @staticmethod
    def label(_: Callable[[str], str]) -> str:
        """Return what it is called in lists; `_` translates."""
        raise NotImplementedError

    async def verify(self, tx: Transaction, asked: Asked, given: Secret[str], now: int) -> Right | Wrong:
        """Compare what was `given` and consume it. Exactly one of any number of equal requests gets Right."""
        return Wrong()

    async def challenge(self, account: Account, holder: str, target: str, inbound: Inbound, now: int) -> str:
        """It is to be proved next. Returns what the query of its page says besides, like "&mail=many"."""
        return ""

    def is_usable(self, enrolled: Enrolled) -> bool:
        """Whether an account that has set up `enrolled` may prove itself with it."""
        return True

    async def enrol(
        self, tx: Transaction, account: Account, offered: str, given: Secret[str], now: int
    ) -> SetUp | Wrong:
        """Make what was `offered` the account's, if what was `given` proves that they have it."""
        return Wrong()

    async def renew(self, tx: Transaction, account: str, now: int) -> tuple[Secret[str], ...]:
        """What it `goes_with` was set up: make it anew. Returns codes that are shown once."""
        return ()

    async def forget(self, tx: Transaction, account: str) -> bool:
        """Take it away from the account with that id. Returns whether it was there."""
        return False

    async def reset(self, tx: Transaction, account: str, now: int, *, is_owner: bool) -> None:
        """An administrator takes it away, and may demand that it is set up anew."""
        await self.forget(tx, account)

    async def panel(self, tx: Transaction, session: Session, used_at: int | None) -> Panel | None:
        """Return what the overview shows of it. `used_at` is when it was proved last on any device, in UTC seconds."""
        return None

    def limits_of(self, account: Account) -> tuple[str, ...]:
        """Return what the keys of its own rate limits begin with, for who unlocks the account."""
        return ()


F = TypeVar("F", bound=FactorContract)
N = TypeVar("N", contravariant=True)  # what a factor is made of


@dataclass(frozen=True, slots=True)
class Folder(Generic[N]):
    """What the folder of a factor brings: its class, how one is made of what it needs, its pages and its tables."""

    kind: type[FactorContract]
    build: Callable[[N], FactorContract]
    pages: tuple[Pages[Any, Any], ...] = ()
    stored: tuple[Stored, ...] = ()


def shows(factor: FactorContract) -> tuple[Factor, ...]:
    return factor.counts_as or (factor.name,)


def proof_of(factor: FactorContract, now: int) -> Proof:
    return Proof(factor.name, now, factor.counts_as)


class Factors:
    """All factors, by name. Their order is that of lists."""

    def __init__(self, factors: Iterable[FactorContract]) -> None:
        self._by_name = {factor.name: factor for factor in factors}

    def find(self, kind: type[F]) -> F:
        """Return the factor of a class, for its own pages."""
        return next(factor for factor in self if isinstance(factor, kind))

    def __getitem__(self, name: Factor) -> FactorContract:
        return self._by_name[name]

    def going_with(self, name: Factor) -> Iterator[FactorContract]:
        return (factor for factor in self if factor.goes_with == name)

    def __contains__(self, name: Factor) -> bool:
        return name in self._by_name

    def __iter__(self) -> Iterator[FactorContract]:
        return iter(self._by_name.values())
