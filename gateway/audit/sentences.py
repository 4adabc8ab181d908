"""What each row of the log says, as a sentence with the people in it. Pure.

A sentence has the fields `person`, the subject of the row, and `actor`, and may use details of the row by their names.
It has no full stop: the device may follow.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from gateway.model.event import Event
from gateway.model.factor import Factor
from gateway.model.sentence import Sentence


class Told(NamedTuple):
    """The sentence of a row, and the one of a row with an actor who is not the subject; "" if it is the same."""

    alone: Sentence
    by: Sentence = Sentence()


SIGN_INS: dict[str, Told] = {
    Event.LOGIN: Told(Sentence("{person} signed in")),
    Event.LOGIN_FAILED: Told(Sentence("Sign-in as {person} failed")),
    Event.LOGIN_LOCKOUT: Told(Sentence("{person} was locked after too many failed attempts")),
    Event.LOGIN_STEP: Told(Sentence("{person} completed a step of signing in")),
    Event.LOGIN_2FA_FAILED: Told(Sentence("Second step for {person} failed")),
    Event.LOGIN_LINK_SENT: Told(
        Sentence("A sign-in link was sent to {person}"), Sentence("{actor} made a sign-in link for {person}")
    ),
    Event.LOGIN_LINK_UNSENT: Told(Sentence("Sign-in as {person} failed: the link couldn’t be sent")),
    Event.LOGIN_SPRAY_SEEN: Told(Sentence("The same wrong password was tried on many accounts")),
    Event.STEP_UP: Told(Sentence("{person} confirmed their identity again")),
    Event.LOGOUT: Told(Sentence("{person} signed out"), Sentence("{actor} signed {person} out")),
    Event.SESSION_REVOKED: Told(
        Sentence("{person} signed out a device: {device}"),
        Sentence("{actor} signed out a device of {person}: {device}"),
    ),
    Event.SESSION_REVOKED_ALL: Told(
        Sentence("{person} signed out all devices"), Sentence("{actor} signed {person} out on all devices")
    ),
    Event.BREAK_GLASS_USED: Told(Sentence("{person} signed in without single sign-on, as an exempt administrator")),
    Event.NETWORK_REFUSED: Told(Sentence("{person} was refused: the network isn’t allowed")),
    Event.FORM_KEPT: Told(Sentence("A form of {person} was saved until they had signed in")),
    Event.FORM_SENT: Told(Sentence("The saved form of {person} was submitted")),
    Event.PASSWORD_RESET_ASKED: Told(Sentence("A new password was requested for {person}")),
    Event.PASSWORD_CHANGED: Told(
        Sentence("{person} changed their password"), Sentence("{actor} changed the password of {person}")
    ),
    Event.TWO_FACTOR_ENABLED: Told(Sentence("{person} turned on two-step verification")),
    Event.TWO_FACTOR_DISABLED: Told(Sentence("{person} turned off two-step verification")),
    Event.TWO_FACTOR_RESET: Told(
        Sentence("Two-step verification of {person} was reset"),
        Sentence("{actor} reset two-step verification of {person}"),
    ),
    Event.TWO_FACTOR_CODES_REGENERATED: Told(Sentence("{person} created new backup codes")),
    Event.TWO_FACTOR_CODE_USED: Told(Sentence("{person} used a backup code")),
    Event.PASSKEY_ADDED: Told(Sentence("{person} added the passkey “{passkey}”")),
    Event.PASSKEY_RENAMED: Told(Sentence("{person} renamed a passkey to “{passkey}”")),
    Event.PASSKEY_REMOVED: Told(Sentence("{person} removed the passkey “{passkey}”")),
    Event.PASSKEY_WENT_BACK: Told(Sentence("{person} used the passkey “{passkey}”, which may have been copied")),
    Event.PASSKEYS_ONLY_ENABLED: Told(Sentence("{person} turned on passkeys-only sign-in")),
    Event.PASSKEYS_ONLY_DISABLED: Told(Sentence("{person} turned off passkeys-only sign-in")),
    Event.SSO_LINKED: Told(Sentence("{person} was connected to single sign-on")),
    Event.SSO_UNLINKED: Told(
        Sentence("{person} disconnected from single sign-on"),
        Sentence("{actor} disconnected {person} from single sign-on"),
    ),
    Event.TOKEN_CREATED: Told(
        Sentence("{person} created the API token “{token}”"),
        Sentence("{actor} created the API token “{token}” for {person}"),
    ),
    Event.TOKEN_REVOKED: Told(
        Sentence("The API token “{token}” of {person} was revoked"),
        Sentence("{actor} revoked the API token “{token}” of {person}"),
    ),
    Event.TOKEN_REFUSED: Told(Sentence("A request with the API token “{token}” of {person} was refused")),
    Event.TOKEN_USED_ELSEWHERE: Told(Sentence("The API token “{token}” of {person} was used from a new network")),
}

ACCOUNTS: dict[str, Told] = {
    Event.ACCOUNT_INVITED: Told(Sentence("{person} was invited"), Sentence("{actor} invited {person}")),
    Event.ACCOUNT_SIGNED_UP: Told(Sentence("{person} signed up")),
    Event.ACCOUNT_ADDED: Told(
        Sentence("An account was added for {person}"), Sentence("{actor} added an account for {person}")
    ),
    Event.ACCOUNT_REMOVED: Told(
        Sentence("The account of {person} was removed"), Sentence("{actor} removed the account of {person}")
    ),
    Event.ACCOUNT_RENAMED: Told(
        Sentence("The name of {person} changed from {from} to {to}"),
        Sentence("{actor} changed the name of {person} from {from} to {to}"),
    ),
    Event.ACCOUNT_ERASED: Told(
        Sentence("The personal data of a person was erased from the log"),
        Sentence("{actor} erased the personal data of a person from the log"),
    ),
    Event.ACCOUNT_DISABLED: Told(
        Sentence("The account of {person} was disabled"), Sentence("{actor} disabled the account of {person}")
    ),
    Event.ACCOUNT_ENABLED: Told(
        Sentence("The account of {person} was enabled"), Sentence("{actor} enabled the account of {person}")
    ),
    Event.ACCOUNT_ROLE_CHANGED: Told(
        Sentence("The role of {person} changed from {from} to {to}"),
        Sentence("{actor} changed the role of {person} from {from} to {to}"),
    ),
    Event.ACCOUNT_UPDATED: Told(
        Sentence("The account of {person} was updated by an import"),
        Sentence("{actor} updated the account of {person} by an import"),
    ),
    Event.ACCOUNT_UNLOCKED: Told(Sentence("{person} was unlocked"), Sentence("{actor} unlocked {person}")),
    Event.ACCOUNT_SECURED: Told(
        Sentence("{person} ended all access after unauthorised use"),
        Sentence("{actor} ended all access of {person} after unauthorised use"),
    ),
    Event.EMAIL_CHANGE_REQUESTED: Told(
        Sentence("{person} asked to change their email to {to}"),
        Sentence("{actor} asked to change the email of {person} to {to}"),
    ),
    Event.EMAIL_CHANGE_CONFIRMED: Told(Sentence("The new address {to} of {person} was confirmed")),
    Event.EMAIL_CHANGE_AGREED: Told(Sentence("The old address of {person} approved the change to {to}")),
    Event.EMAIL_CHANGE_STOPPED: Told(Sentence("The old address of {person} stopped the change of email")),
    Event.EMAIL_CHANGED: Told(
        Sentence("The email of {person} changed from {from} to {to}"),
        Sentence("{actor} changed the email of {person} from {from} to {to}"),
    ),
    Event.EMAIL_CHANGE_UNDONE: Told(Sentence("The change of email of {person} was undone")),
    Event.ACCOUNT_EMAIL_CHANGE_ASKED: Told(Sentence("A change of email was requested for {person}")),
    Event.ACCOUNT_EMAIL_CHANGED: Told(Sentence("The email of {person} changed")),
    Event.SCIM_USER_LINKED: Told(Sentence("{person} is now managed by provisioning")),
    Event.SCIM_USER_CHANGED: Told(Sentence("Provisioning changed the account of {person}")),
    Event.SCIM_USER_UNLINKED: Told(Sentence("{person} is no longer managed by provisioning")),
    Event.SCIM_MEMBER_ADDED: Told(Sentence("Provisioning added {person} to the group “{group}”")),
    Event.SCIM_MEMBER_REMOVED: Told(Sentence("Provisioning removed {person} from the group “{group}”")),
    Event.SSO_ROLE_KEPT: Told(Sentence("{person} kept the role of administrator, being the last one")),
    Event.PAGE_VIEWS_READ: Told(
        Sentence("The page views of {person} were read"), Sentence("{actor} read the page views of {person}")
    ),
    Event.PAGE_VIEWS_EXPORTED: Told(
        Sentence("The page views of {person} were exported"), Sentence("{actor} exported the page views of {person}")
    ),
    Event.MAIL_ABANDONED: Told(Sentence("An email to {person} couldn’t be delivered")),
}

# Events that the subject, or else the actor, has caused.
SETTINGS: dict[str, Told] = {
    Event.TENANT_ADDED: Told(Sentence("{person} added the tenant {tenant}")),
    Event.TENANT_RENAMED: Told(Sentence("{person} renamed the tenant {tenant}")),
    Event.TENANT_SUSPENDED: Told(Sentence("{person} suspended the tenant {tenant}")),
    Event.TENANT_RESUMED: Told(Sentence("{person} reactivated the tenant {tenant}")),
    Event.TENANT_SIGN_IN_CHANGED: Told(Sentence("{person} changed the sign-in requirements")),
    Event.TENANT_LANGUAGE_CHANGED: Told(Sentence("{person} changed the tenant’s language")),
    Event.DOMAIN_CLAIMED: Told(Sentence("{person} claimed the email domain {domain}")),
    Event.DOMAIN_RELEASED: Told(Sentence("{person} released the email domain {domain}")),
    Event.NETWORKS_CHANGED: Told(
        Sentence("{person} changed the allowed networks"), Sentence("{actor} changed the allowed networks of {person}")
    ),
    Event.SSO_CHANGED: Told(Sentence("{person} changed the settings of single sign-on")),
    Event.SSO_TRIED: Told(Sentence("{person} tried out single sign-on")),
    Event.SSO_ENABLED: Told(Sentence("{person} turned on single sign-on")),
    Event.SSO_DISABLED: Told(Sentence("{person} turned off single sign-on")),
    Event.SSO_REMOVED: Told(Sentence("{person} removed single sign-on")),
    Event.SSO_REQUIRED: Told(Sentence("{person} made single sign-on required")),
    Event.SSO_OPTIONAL: Told(Sentence("{person} made single sign-on optional")),
    Event.SSO_ROLES_CHANGED: Told(Sentence("{person} changed the roles by single sign-on")),
    Event.SSO_KEY_MADE: Told(Sentence("{person} made a signing key for single sign-on")),
    Event.SSO_KEY_USED: Told(Sentence("{person} changed the signing key for single sign-on")),
    Event.SSO_KEY_REMOVED: Told(Sentence("{person} removed a signing key for single sign-on")),
    Event.SSO_LOGOUT_REFUSED: Told(Sentence("A sign-out by the identity provider was rejected")),
    Event.BREAK_GLASS_CHANGED: Told(Sentence("{person} changed the exempt administrators")),
    Event.SCIM_TOKEN_CREATED: Told(Sentence("{person} created a provisioning token")),
    Event.SCIM_TOKEN_REVOKED: Told(Sentence("{person} revoked a provisioning token")),
    Event.SCIM_GROUP_ADDED: Told(Sentence("Provisioning added the group “{group}”")),
    Event.SCIM_GROUP_CHANGED: Told(Sentence("Provisioning changed the group “{group}”")),
    Event.SCIM_GROUP_REMOVED: Told(Sentence("Provisioning removed the group “{group}”")),
    Event.SCIM_REFUSED: Told(Sentence("A provisioning request was refused")),
    Event.PAGE_VIEWS_ENABLED: Told(Sentence("{person} switched on the recording of page views")),
    Event.PAGE_VIEWS_DISABLED: Told(Sentence("{person} switched off the recording of page views")),
    Event.ADDRESS_BLOCKED: Told(Sentence("{person} blocked {network}")),
    Event.ADDRESS_UNBLOCKED: Told(Sentence("{person} unblocked {network}")),
    Event.AUDIT_EXPORTED: Told(Sentence("{person} downloaded the audit log")),
    Event.AUDIT_TRIMMED: Told(Sentence("The oldest {rows} entries were deleted, as the settings say")),
    Event.ACCESS_EXPORTED: Told(Sentence("{person} downloaded the list of who has access")),
    Event.ACCESS_REVIEWED: Told(Sentence("{person} reviewed the access of all people")),
    Event.KEYS_ROTATED: Told(Sentence("{person} re-encrypted the secrets with a new key")),
    Event.REPEATED: Told(Sentence("{times} more within a minute, {person}: {event}")),
}

TOLD: Mapping[str, Told] = {**SIGN_INS, **ACCOUNTS, **SETTINGS}

FAILED, SECOND, TOTP = Event.LOGIN_FAILED, Event.LOGIN_2FA_FAILED, Factor.TOTP
INVALID = Sentence("Second step for {person} failed: the code or link is no longer valid")
TOO_MANY = Sentence("Second step for {person} failed: too many wrong codes before")

# More exact sentences, by event, the detail `factor`, and the detail `reason` or `where`; "" is any.
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

# As they are called after “signed in with”.
FACTOR_NAMES: Mapping[str, Sentence] = {
    Factor.PASSWORD: Sentence("a password"),
    Factor.TOTP: Sentence("an authenticator app"),
    Factor.BACKUP_CODE: Sentence("a backup code"),
    Factor.MAGIC_LINK: Sentence("an email link"),
    Factor.PASSKEY: Sentence("a passkey"),
    "sso": Sentence("single sign-on"),
}
