"""What rows of the log say that tell more than their event alone (see model/event.py). Pure."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.model.event import Event
from gateway.model.factor import Factor
from gateway.model.sentence import Sentence

FAILED, SECOND, TOTP = Event.LOGIN_FAILED, Event.LOGIN_2FA_FAILED, Factor.TOTP
INVALID = Sentence("Second step for {person} failed: the code or link is no longer valid")
TOO_MANY = Sentence("Second step for {person} failed: too many wrong codes before")

# By event, the detail `factor`, and the detail `reason` or `where`; "" is any.
# `no_account` is the case where a row has no account, and `unnamed` where it has no email either.
CASES: Mapping[tuple[str, str, str], Sentence] = {
    (FAILED, "", "wrong"): Sentence("Sign-in as {person} failed: wrong password"),
    (FAILED, "", "no_account"): Sentence("Sign-in as {person} failed: no account with this email"),
    (FAILED, "", "disabled"): Sentence("Sign-in as {person} failed: the account is disabled"),
    (FAILED, "", "passwordless"): Sentence("Sign-in as {person} failed: the account has no password"),
    (FAILED, "", "locked"): Sentence("Sign-in as {person} failed: locked after too many failed attempts"),
    (FAILED, "", "changed"): Sentence("Sign-in as {person} failed: the account changed meanwhile"),
    (FAILED, "", "while changing the password"): Sentence(
        "{person} couldn’t change the password: wrong current password"
    ),
    (FAILED, "", "confirming an email"): Sentence("{person} couldn’t confirm an email: wrong password"),
    (FAILED, "passkey", ""): Sentence("Sign-in as {person} with a passkey failed"),
    (FAILED, "passkey", "unnamed"): Sentence("Sign-in with a passkey failed"),
    (FAILED, "passkey", "password"): Sentence(
        "Sign-in as {person} with a passkey failed: the password is needed as well"
    ),
    (FAILED, "sso", ""): Sentence("Sign-in as {person} with single sign-on failed"),
    (FAILED, "sso", "unnamed"): Sentence("Sign-in with single sign-on failed"),
    (Event.LOGIN_LOCKOUT, "passkey", "unnamed"): Sentence("Passkeys were locked for an IP address after many failures"),
    (SECOND, TOTP, "wrong"): Sentence("Second step for {person} failed: wrong code"),
    (SECOND, "backup_code", "wrong"): Sentence("Second step for {person} failed: wrong backup code"),
    (SECOND, "magic_link", "wrong"): Sentence("Second step for {person} failed: wrong code or link"),
    (SECOND, "passkey", ""): Sentence("Second step for {person} failed: passkey rejected"),
    (SECOND, "", "used"): Sentence("Second step for {person} failed: the code was used before"),
    **{(SECOND, "", reason): INVALID for reason in ("late", "expired", "superseded")},
    **{(SECOND, "", reason): TOO_MANY for reason in ("locked", "blocked")},
    (Event.NETWORK_REFUSED, "", "sign-in"): Sentence("Sign-in as {person} failed: the network isn’t allowed"),
    (Event.NETWORK_REFUSED, "", "request"): Sentence("A request by {person} was refused: the network isn’t allowed"),
    (Event.LOGIN, "", "factors"): Sentence("{person} signed in with {factors}"),
    (Event.PASSWORD_RESET_ASKED, "", "no account with this email"): Sentence(
        "A new password was requested for {person}, an email without an account"
    ),
    (Event.REPEATED, "", "unnamed"): Sentence("{times} more within a minute: {event}"),
}
