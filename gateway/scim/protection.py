"""Accounts that no provider may take over, change, disable or remove, whatever its token says. Pure."""

from __future__ import annotations

from gateway.model.account import Account, Role


def find_protection(account: Account, owners: frozenset[str]) -> str:
    """Return why an account is out of a provider's reach, "" if it isn't. `owners` are normalised identifiers.

    Each reason has its sentence in users.PROTECTED.
    """
    if account.identifier in owners:
        return "owner"
    if account.is_service:
        return "service"
    if account.enrolled.is_exempt and account.role is Role.ADMIN:
        return "break_glass"
    return ""
