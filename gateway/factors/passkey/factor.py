"""Passkeys as the second step: a signature over a challenge, by a key that only answers its own site.

`given` to verify and enrol is the sealed challenge, a space, and the browser's answer as JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gateway.accounts import rows as account_rows
from gateway.factors.contract import Asked, FactorContract, News, Panel, Reason, Right, SetUp, Summary, Wrong
from gateway.factors.passkey import ceremony, rows
from gateway.factors.passkey.ceremony import Asserted, Descriptor, Refused, Site
from gateway.factors.passkey.challenges import Asking, Challenges
from gateway.factors.passkey.names import name_of, new_name
from gateway.factors.passkey.rows import MAX_KEYS, Passkey
from gateway.model.account import Account
from gateway.model.base64url import encode_base64url
from gateway.model.event import Event
from gateway.model.factor import Factor
from gateway.model.secret import Secret
from gateway.model.sentence import Sentence
from gateway.model.session import Session
from gateway.observe.logs import get_logger
from gateway.store import Transaction

log = get_logger("passkeys")

VERIFY, ENROL = "verify", "enrol"


class PasskeyFactor(FactorContract):
    name = Factor.PASSKEY
    page = "passkey"
    counts_as = (Factor.PASSKEY, Factor.TOTP)
    is_guessable = False  # whoever knows the password could otherwise lock the passkey

    def __init__(
        self, challenges: Challenges, site: Site, product: str, *, is_first: bool, roots: Sequence[bytes] = ()
    ) -> None:
        """`roots` are certificates (PEM) of makers, for tenants that demand models of theirs."""
        self.challenges = challenges
        self._roots = roots
        self.site = site
        self._product = product
        self.first_template = "passkey/first.html" if is_first else ""

    label = Sentence("passkey")
    means = Sentence("a passkey")

    # Proving it.

    async def ask(self, tx: Transaction, asked: Asked, now: int) -> tuple[dict[str, object], Asking]:
        """Return the options for the browser, which name the account's passkeys, and its challenge."""
        asking = self.challenges.ask(VERIFY, asked.holder, now)
        allowed = describe(self.site, await rows.list_of(tx, asked.account))
        options = ceremony.request_options(
            self.site, challenge=asking.challenge, allowed=allowed, needs_verification=False
        )
        return options, asking

    async def verify(self, tx: Transaction, asked: Asked, given: Secret[str], now: int) -> Right | Wrong:
        sealed, _, answer = given.reveal().partition(" ")
        challenge = await self.challenges.take(tx, VERIFY, asked.holder, sealed, now)
        if challenge is None:
            return Wrong(Reason.EXPIRED)
        credential = ceremony.id_of(answer)
        passkey = await rows.find_by_credential(tx, credential) if credential is not None else None
        if passkey is None or passkey.account != asked.account:
            return Wrong()
        verdict = ceremony.read_assertion(
            answer, self.site, challenge, passkey.key,
            handle=handle_of(asked.account), needs_verification=False, needs_handle=False,
        )  # fmt: skip
        if isinstance(verdict, Refused):
            log.warning("passkey_refused", passkey=passkey.id, reason=verdict.reason.value)
            return Wrong()
        await rows.note_use(tx, passkey.id, verdict, now)
        return Right(news_of(passkey, verdict), details_of(passkey))

    async def find_former_address(self, tx: Transaction, account: str) -> str:
        """Return the RP ID of the account's newest passkey if all were made for another one; "" otherwise."""
        own = await rows.list_of(tx, account)
        return "" if not own or any(self.site.has(passkey.key) for passkey in own) else own[-1].key.rp_id

    # Enrolment.

    async def offer(self, tx: Transaction, account: Account, holder: str, now: int) -> tuple[dict[str, object], Asking]:
        """Return the options for the browser to make a passkey, and its challenge for `holder`."""
        asking = self.challenges.ask(ENROL, f"{holder} {account.id}", now)
        excluded = describe(self.site, await rows.list_of(tx, account.id))
        options = ceremony.creation_options(
            self.site,
            handle=handle_of(account.id),
            name=account.identifier,
            display_name=account.name,
            challenge=asking.challenge,
            excluded=excluded,
            direct_attestation=bool(await account_rows.find_models(tx, account.tenant)),
            title=self._product,
        )
        return options, asking

    async def enrol(
        self, tx: Transaction, account: Account, offered: str, given: Secret[str], now: int
    ) -> SetUp | Wrong:
        """`offered` is the id of the attempt or session that the challenge was made for."""
        sealed, _, answer = given.reveal().partition(" ")
        challenge = await self.challenges.take(tx, ENROL, f"{offered} {account.id}", sealed, now)
        if challenge is None:
            return Wrong(Reason.EXPIRED)
        models = await account_rows.find_models(tx, account.tenant)
        made = ceremony.read_registration(
            answer, self.site, challenge, allowed_aaguids=models or None, roots=self._roots
        )
        if isinstance(made, Refused):
            log.warning("passkey_not_added", account=account.id, reason=made.reason.value)
            return Wrong()
        names = {passkey.name for passkey in await rows.list_of(tx, account.id)}
        if await rows.count(tx, account.id) >= MAX_KEYS:
            return Wrong(Reason.MANY)
        name = new_name(name_of(made.key.aaguid) or "Passkey", names)
        if not await rows.add(tx, account.id, made, name, now):
            return Wrong(Reason.USED)
        return SetUp(
            News(Event.PASSKEY_ADDED, "passkey_added", {"passkey": name}), is_first=not account.enrolled.has_second
        )

    async def forget(self, tx: Transaction, account: str) -> bool:
        return await rows.forget(tx, account)

    async def distrust(self, tx: Transaction, account: str) -> None:
        await rows.distrust(tx, account)

    async def panel(self, tx: Transaction, session: Session, used_at: int | None) -> Panel | None:
        own = await rows.list_of(tx, session.account)
        return Panel(
            "passkey/panel.html",
            {
                "passkeys": own,
                "site": self.site,
                "only": session.enrolled.only_passkeys,
                "handle": encode_base64url(handle_of(session.account)),
                "accepted": [encode_base64url(each.id) for each in describe(self.site, own)],
            },
        )

    async def summarise(self, tx: Transaction, account: str) -> list[Summary]:
        return [self._summary_of(own) for own in await rows.list_of(tx, account)]

    def _summary_of(self, own: Passkey) -> Summary:
        if not self.site.has(own.key):
            remark = Sentence("Made for another address, {address}. It doesn’t work here.", address=own.key.rp_id)
        elif own.key.is_backed_up:
            remark = Sentence("Synced between devices")
        else:
            remark = Sentence("On one device only")
        return Summary(self.name, own.created_at, own.used_at, own.name, remark)


def handle_of(account: str) -> bytes:
    """Return the user handle (WebAuthn L3 §4): the account's id, which is public and no one's name."""
    return account.encode("ascii")


def describe(site: Site, passkeys: Iterable[Passkey]) -> list[Descriptor]:
    """Return the passkeys of this site, as options name them."""
    return [Descriptor(own.key.id, own.key.transports) for own in passkeys if site.has(own.key)]


def details_of(passkey: Passkey) -> dict[str, str]:
    """Return what the audit row of a proof says. It is personal (see model.event.FACTS)."""
    return {"passkey": passkey.name}


def news_of(passkey: Passkey, asserted: Asserted) -> News | None:
    """Return what the person must know: a counter that runs backwards may be that of a copy (§6.1.1)."""
    if not asserted.went_back:
        return None
    return News(Event.PASSKEY_WENT_BACK, "passkey_went_back", details_of(passkey))
