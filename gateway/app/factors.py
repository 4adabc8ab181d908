"""The list of all factors, in display order."""

from __future__ import annotations

from gateway.factors.backup_code import folder as backup_code
from gateway.factors.magic_link import folder as magic_link
from gateway.factors.passkey import folder as passkey
from gateway.factors.password import folder as password
from gateway.factors.totp import folder as totp
from gateway.sso import folder as sso

FACTORS = (
    password.FACTOR,
    sso.FACTOR,
    passkey.FACTOR,
    totp.FACTOR,
    backup_code.FACTOR,
    magic_link.FACTOR,
)


NAMES = {folder.kind.name: folder.kind.label for folder in FACTORS}
DONE = {name: done for folder in FACTORS for name, done in folder.done.items()}
MEANS = {folder.kind.name: folder.kind.means for folder in FACTORS}
