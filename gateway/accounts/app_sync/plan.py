"""Plans an import of an unmodified application's users: a pure function from rows and state to verdicts.

Name, role, tenant and modules are the application's: each import copies them to the account. Two things can change on
both sides, and the later change should win:

- The password. A hash is copied only if it differs from that of the last import. If the gateway's password changed
  since then too, the order is unknown and the gateway's stays: people sign in here, and an urgent change must not
  bring an old password back.
- The status. Users who are missing in the application are disabled, and enabled again when they return. Accounts
  disabled in the gateway stay disabled.

An account is matched by its email in the application at the last import. A change of email in the gateway therefore
produces neither a second account nor a missing one. Accounts that the import didn't create follow the application only
with --adopt, platform owners never, and no tenant loses its last admin.

Two users of the application whose emails normalise to the same identifier are two people. Importing the second would
give them the first one's account, with a password of their own. Within one import all such rows are refused. Between
imports the user key is compared: the column `id` if the query returns it, otherwise the email as spelled there.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from gateway.accounts.csv_import import reading as bulk
from gateway.accounts.csv_import.file import OPTIONAL, REQUIRED
from gateway.accounts.csv_import.reading import Create, Reject, Skip
from gateway.model.account import Account, Module, Role, Status, Unacceptable
from gateway.model.secret import Secret
from gateway.model.sentence import Sentence

COLUMNS = (*REQUIRED, *OPTIONAL, "modules", "id")
MAX_KEY = 320  # characters
BY_ID, BY_SPELLING = "id:", "email:"
BY_HAND = "a platform owner is only changed by hand"
SERVICE = "service accounts are not synchronised"
LAST_ADMIN = "the last admin of {}, until there is another one"
FOREIGN = "an account with this email already exists that this source didn't create; use --adopt to link it"
OTHER_USER = Sentence(
    "at the last import another user of the application had this email; --adopt gives this one the account"
)
MOVED = "this user had the email {} at the last import; change it in the gateway first"
PASSWORD_STAYS = "the password was changed in the gateway as well, and stays"  # noqa: S105 - a remark
Row = tuple[int, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Known:
    """An account at the last import from this source; `identifier`, `hash_digest`, `user_key` are the application's.

    `disabled_at` is set if an import disabled the account, `was_created` if one created it. `user_key` is None in
    rows of older versions.
    """

    account: str
    identifier: str
    hash_digest: bytes | None
    was_created: bool
    imported_at: int
    disabled_at: int | None
    user_key: str | None = None

    def is_another_user(self, row: Wanted) -> bool:
        """Whether another user had the row's email at the last import. False if the two keys are not comparable."""
        was, now = self.user_key, row.create.user_key
        if was is None or was == now:
            return False
        if was.startswith(BY_ID):
            return now.startswith(BY_ID)
        return now.startswith(BY_SPELLING) and self.identifier == row.identifier


@dataclass(frozen=True, slots=True)
class State:
    """The store's state. `repassworded`: ids of accounts whose password the gateway changed since the last import."""

    accounts: tuple[Account, ...]
    known: tuple[Known, ...]
    repassworded: frozenset[str]
    owners: frozenset[str]


@dataclass(frozen=True, slots=True)
class Wishes:
    """`adopt` updates accounts that the import didn't create; `disable_missing` disables those without a user."""

    adopt: bool = False
    disable_missing: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """A valid row. If not `names_tenant`, an existing account keeps its tenant."""

    create: Create
    names_tenant: bool

    @property
    def identifier(self) -> str:
        return self.create.identifier


@dataclass(frozen=True, slots=True)
class Follow:
    """Update `account` to `after`, which may be equal. `hash_digest` is stored for the next import."""

    line: int
    identifier: str
    account: Account
    after: Account
    known: Known | None
    hash_digest: bytes | None
    remarks: tuple[str, ...] = ()
    user_key: str = ""

    @property
    def brings_nothing(self) -> bool:
        """Whether the account and the stored Known stay the same, except `imported_at`."""
        before = self.known
        return (
            before is not None
            and self.after == self.account
            and before
            == replace(
                before,
                identifier=self.identifier,
                hash_digest=self.hash_digest,
                disabled_at=None,
                user_key=self.user_key,
            )
        )


@dataclass(frozen=True, slots=True)
class Disable:
    """Disable an account whose user is missing in the application."""

    account: Account


@dataclass(frozen=True, slots=True)
class Keep:
    """Leave an account unchanged, although its user is missing in the application."""

    account: Account
    reason: str


Verdict = Create | Follow | Skip | Reject | Disable | Keep


def plan(rows: Iterable[Row], state: State, wishes: Wishes) -> list[Verdict]:
    """Return a verdict for each row, in order, then one for each account whose user is missing."""
    read = [read_row(line, row) for line, row in rows]
    return Planner(state, wishes, read).plan()


def read_row(line: int, row: Mapping[str, str]) -> Wanted | Reject:
    judged = bulk.judge(line, row)
    if isinstance(judged, Reject):
        return judged
    try:
        modules = read_modules(row["modules"]) if "modules" in row else judged.modules
    except Unacceptable as error:
        return Reject(line, judged.identifier, error.sentence, judged.identifier)
    department = "" if "modules" in row else judged.unknown_department
    wanted = replace(judged, modules=modules, unknown_department=department, user_key=user_key_of(row))
    return Wanted(wanted, bool(row.get("tenant")))


def user_key_of(row: Mapping[str, str]) -> str:
    """Return a key that is unique among the application's users."""
    key = f"{BY_ID}{row['id']}" if row.get("id") else f"{BY_SPELLING}{row.get('email', '')}"
    return key.replace("\0", "\ufffd")[:MAX_KEY]  # PostgreSQL rejects NUL


def read_modules(text: str) -> frozenset[Module]:
    """Parse comma-separated module names (`hr,legal`). Raises Unacceptable."""
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    if not set(names) <= set(Module):
        raise Unacceptable(Sentence("Modules are {names}, with commas between them.", names=", ".join(Module)))
    return frozenset(Module(name) for name in names)


def digest_of(password_hash: Secret[str] | None) -> bytes | None:
    """Return the SHA-256 of a hash, by which the next import sees whether it changed."""
    return hashlib.sha256(password_hash.reveal().encode("utf-8")).digest() if password_hash else None


class Planner:
    """Indexes of the state. `_admins` counts each tenant's active admins, as the verdicts so far would leave them."""

    def __init__(self, state: State, wishes: Wishes, rows: list[Wanted | Reject]) -> None:
        self._state = state
        self._wishes = wishes
        self._rows = rows
        self._duplicates = bulk.find_duplicates(row.create if isinstance(row, Wanted) else row for row in rows)
        self._by_id = {account.id: account for account in state.accounts}
        self._by_identifier = {account.identifier: account for account in state.accounts}
        self._known = {known.identifier: known for known in state.known}
        self._known_by_account = {known.account: known for known in state.known}
        self._known_by_id = {
            known.user_key: known for known in state.known if known.user_key and known.user_key.startswith(BY_ID)
        }
        # A refused row still shows that its user exists.
        self._present = {row.identifier for row in rows} | {
            self._known_by_id[row.create.user_key].identifier
            for row in rows
            if isinstance(row, Wanted) and row.create.user_key in self._known_by_id
        }
        self._admins = Counter(account.tenant for account in state.accounts if is_admin(account))

    def plan(self) -> list[Verdict]:
        followed: set[str] = set()
        verdicts: list[Verdict] = []
        for row in self._rows:
            if isinstance(row, Reject):
                verdicts.append(row)
                continue
            verdict = self._judge(row)
            if isinstance(verdict, Follow):
                followed.add(verdict.account.id)
            verdicts.append(verdict)
        return [*verdicts, *self._judge_missing(followed)]

    def _judge(self, row: Wanted) -> Create | Follow | Skip | Reject:
        line, identifier = row.create.line, row.identifier
        if line in self._duplicates:
            return Reject(
                line, identifier, Sentence("row {row} has the same email", row=self._duplicates[line]), identifier
            )
        account, known = self._find(identifier)
        if identifier in self._state.owners or (account and account.identifier in self._state.owners):
            return Skip(line, identifier, BY_HAND)
        if account is not None and account.is_service:
            return Skip(line, identifier, SERVICE)
        moved = self._known_by_id.get(row.create.user_key)
        if moved is not None and (account is None or account.id != moved.account):
            return Skip(line, identifier, MOVED.format(moved.identifier))
        if account is None:
            return row.create
        if known is None:
            return self._follow(row, account, None) if self._wishes.adopt else Skip(line, identifier, FOREIGN)
        if moved is None and known.identifier != identifier and known.identifier in self._present:
            return Skip(line, identifier, f"the account with this email is {known.identifier} in the application")
        if known.is_another_user(row) and not self._wishes.adopt:
            return Reject(line, identifier, OTHER_USER, identifier)
        return self._follow(row, account, known)

    def _find(self, identifier: str) -> tuple[Account | None, Known | None]:
        """Find by the email at the last import, or by the account's current email."""
        known = self._known.get(identifier)
        if known is not None:
            return self._by_id[known.account], known
        account = self._by_identifier.get(identifier)
        return account, self._known_by_account.get(account.id) if account else None

    def _follow(self, row: Wanted, account: Account, known: Known | None) -> Follow:
        wanted, remarks = row.create, []
        new_hash = wanted.password_hash if self._has_new_password(account, known, wanted.password_hash) else None
        if new_hash is not None and account.id in self._state.repassworded:
            new_hash = None
            remarks.append(PASSWORD_STAYS)
        is_back = account.status is Status.DISABLED and known is not None and known.disabled_at is not None
        after = replace(
            account,
            name=wanted.name,
            role=wanted.role,
            tenant=wanted.tenant if row.names_tenant else account.tenant,
            modules=wanted.modules,
            status=Status.ACTIVE if is_back else account.status,
            password_hash=new_hash or account.password_hash,
        )
        if self._is_last_admin(account, after):
            after = replace(after, role=account.role, tenant=account.tenant)
            remarks.append(f"stays admin: {LAST_ADMIN.format(account.tenant)}")
        digest = digest_of(wanted.password_hash) or (known.hash_digest if known else None)
        return Follow(wanted.line, row.identifier, account, after, known, digest, tuple(remarks), wanted.user_key)

    def _has_new_password(self, account: Account, known: Known | None, given: Secret[str] | None) -> bool:
        """Whether the application's password changed since the last import, or the gateway has none."""
        if given is None or account.password_hash is None:
            return given is not None
        return known is not None and digest_of(given) != known.hash_digest

    def _judge_missing(self, followed: set[str]) -> Iterator[Disable | Keep]:
        for known in sorted(self._state.known, key=lambda known: known.identifier):
            account = self._by_id[known.account]
            is_here = known.identifier in self._present or account.id in followed
            if known.was_created and not is_here and account.status is Status.ACTIVE:
                yield self._judge_missing_account(account)

    def _judge_missing_account(self, account: Account) -> Disable | Keep:
        if account.identifier in self._state.owners:
            return Keep(account, BY_HAND)
        if not self._wishes.disable_missing:
            return Keep(account, "--disable-missing would disable it")
        if self._is_last_admin(account, replace(account, status=Status.DISABLED)):
            return Keep(account, LAST_ADMIN.format(account.tenant))
        return Disable(account)

    def _is_last_admin(self, before: Account, after: Account) -> bool:
        """Whether the tenant would lose its last admin. If it loses another one, counts that.

        Admins added by this import don't count, because their row may still fail.
        """
        if not is_admin(before) or (is_admin(after) and after.tenant == before.tenant):
            return False
        if self._admins[before.tenant] <= 1:
            return True
        self._admins[before.tenant] -= 1
        return False


def is_admin(account: Account) -> bool:
    return account.role is Role.ADMIN and account.status is Status.ACTIVE and not account.is_service
