"""Registers the password, whose page is the one of signing in."""

from __future__ import annotations

from gateway.factors.contract import Folder
from gateway.factors.password.factor import PasswordFactor


def build(needs: object) -> PasswordFactor:
    return PasswordFactor()


FACTOR = Folder(PasswordFactor, build)
