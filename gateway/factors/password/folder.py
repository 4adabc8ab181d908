"""Registers the password. It has no page of its own but /login."""

from __future__ import annotations

from gateway.factors.contract import Folder
from gateway.factors.password.factor import PasswordFactor


def build(needs: object) -> PasswordFactor:
    return PasswordFactor()


FACTOR = Folder(PasswordFactor, build)
