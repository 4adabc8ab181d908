"""What is worth remembering: every action that concerns who may do what, in words that people can read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Event(StrEnum):
    LOGIN = "login"
    LOGIN_FAILED = "login_failed"
    LOGIN_LOCKOUT = "login_lockout"
    LOGOUT = "logout"
    SESSION_REVOKED = "session_revoked"
    SESSION_REVOKED_ALL = "session_revoked_all"
    ACCOUNT_ADDED = "account_added"
    ACCOUNT_DISABLED = "account_disabled"
    ACCOUNT_ENABLED = "account_enabled"
    ACCOUNT_ROLE_CHANGED = "account_role_changed"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - an event's name


class Outcome(StrEnum):
    SUCCESS = "success"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the audit log. `at` is UTC seconds; `details` hold no secret, ever."""

    event: Event
    outcome: Outcome
    at: int
    identifier: str
    tenant: str | None = None
    account: str | None = None
    address: str = ""
    user_agent: str = ""
    session: str | None = None
    request_id: str = ""
    details: Mapping[str, str | int | bool] = field(default_factory=dict)
