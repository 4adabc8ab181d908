"""Registers the password. It has no page of its own but /login."""

from __future__ import annotations

from gateway.factors.contract import Done, Folder
from gateway.factors.password.factor import PasswordFactor
from gateway.model.sentence import Sentence


def build(needs: object) -> PasswordFactor:
    return PasswordFactor()


FACTOR = Folder(
    PasswordFactor,
    build,
    done={
        "password": Done(
            (Sentence("Password changed. You’ve been signed out on all other devices."),), frees_devices=False
        ),
    },
)
