"""Registers TOTP."""

from __future__ import annotations

from typing import Protocol

from gateway.crypto.sealing import Sealer
from gateway.factors.contract import Done, Folder
from gateway.factors.totp.factor import TOTPFactor
from gateway.factors.totp.routes import PAGES
from gateway.factors.totp.rows import STORED
from gateway.mail.samples import ABOUT
from gateway.model.sentence import Sentence


class Needs(Protocol):
    @property
    def sealer(self) -> Sealer: ...


def build(needs: Needs) -> TOTPFactor:
    return TOTPFactor(needs.sealer)


FACTOR = Folder(
    TOTPFactor,
    build,
    (PAGES,),
    STORED,
    mails={"totp_enabled": ABOUT, "totp_disabled": ABOUT},
    done={
        "enabled": Done(
            (Sentence("Two-step verification is on. From now on you’ll also need a code to sign in."),), goes_on=True
        ),
        "disabled": Done((Sentence("The authenticator app is off. We’ve sent you an email to confirm."),)),
    },
)
