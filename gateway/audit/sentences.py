"""What each row of the log says, as a sentence with the people in it. Pure.

A sentence has the fields `person`, the subject of the row, and `actor`, and may use details of the row by their names.
It has no full stop: the device may follow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from gateway.model.event import Event
from gateway.model.factor import Factor

Translate = Callable[[str], str]


class Told(NamedTuple):
    """The sentence of a row, and the one of a row with an actor who is not the subject; "" if it is the same."""

    alone: str
    by: str = ""


Sentences = Mapping[str, Told]
Cases = Mapping[tuple[str, str, str], str]


def tell_events(_: Translate) -> Sentences:
    """Return the sentences of each event; `_` translates."""
    return {**tell_sign_ins(_), **tell_accounts(_), **tell_settings(_)}


def tell_sign_ins(_: Translate) -> Sentences:
    """Long because it is a table."""
    return {
        Event.LOGIN: Told(_("{person} signed in")),
        Event.LOGIN_FAILED: Told(_("Sign-in as {person} failed")),
        Event.LOGIN_LOCKOUT: Told(_("{person} was locked after too many failed attempts")),
        Event.LOGIN_STEP: Told(_("{person} completed a step of signing in")),
        Event.LOGIN_2FA_FAILED: Told(_("Second step for {person} failed")),
        Event.LOGIN_LINK_SENT: Told(
            _("A sign-in link was sent to {person}"), _("{actor} made a sign-in link for {person}")
        ),
        Event.LOGIN_LINK_UNSENT: Told(_("Sign-in as {person} failed: the link couldn’t be sent")),
        Event.LOGIN_SPRAY_SEEN: Told(_("The same wrong password was tried on many accounts")),
        Event.STEP_UP: Told(_("{person} confirmed their identity again")),
        Event.LOGOUT: Told(_("{person} signed out"), _("{actor} signed {person} out")),
        Event.SESSION_REVOKED: Told(
            _("{person} signed out a device: {device}"), _("{actor} signed out a device of {person}: {device}")
        ),
        Event.SESSION_REVOKED_ALL: Told(
            _("{person} signed out all devices"), _("{actor} signed {person} out on all devices")
        ),
        Event.BREAK_GLASS_USED: Told(_("{person} signed in without single sign-on, as an exempt administrator")),
        Event.NETWORK_REFUSED: Told(_("{person} was refused: the network isn’t allowed")),
        Event.FORM_KEPT: Told(_("A form of {person} was saved until they had signed in")),
        Event.FORM_SENT: Told(_("The saved form of {person} was submitted")),
        Event.PASSWORD_RESET_ASKED: Told(_("A new password was requested for {person}")),
        Event.PASSWORD_CHANGED: Told(
            _("{person} changed their password"), _("{actor} changed the password of {person}")
        ),
        Event.TWO_FACTOR_ENABLED: Told(_("{person} turned on two-step verification")),
        Event.TWO_FACTOR_DISABLED: Told(_("{person} turned off two-step verification")),
        Event.TWO_FACTOR_RESET: Told(
            _("Two-step verification of {person} was reset"), _("{actor} reset two-step verification of {person}")
        ),
        Event.TWO_FACTOR_CODES_REGENERATED: Told(_("{person} created new backup codes")),
        Event.TWO_FACTOR_CODE_USED: Told(_("{person} used a backup code")),
        Event.PASSKEY_ADDED: Told(_("{person} added the passkey “{passkey}”")),
        Event.PASSKEY_RENAMED: Told(_("{person} renamed a passkey to “{passkey}”")),
        Event.PASSKEY_REMOVED: Told(_("{person} removed the passkey “{passkey}”")),
        Event.PASSKEY_WENT_BACK: Told(_("{person} used the passkey “{passkey}”, which may have been copied")),
        Event.PASSKEYS_ONLY_ENABLED: Told(_("{person} turned on passkeys-only sign-in")),
        Event.PASSKEYS_ONLY_DISABLED: Told(_("{person} turned off passkeys-only sign-in")),
        Event.SSO_LINKED: Told(_("{person} was connected to single sign-on")),
        Event.SSO_UNLINKED: Told(
            _("{person} disconnected from single sign-on"), _("{actor} disconnected {person} from single sign-on")
        ),
        Event.TOKEN_CREATED: Told(
            _("{person} created the API token “{token}”"), _("{actor} created the API token “{token}” for {person}")
        ),
        Event.TOKEN_REVOKED: Told(
            _("The API token “{token}” of {person} was revoked"),
            _("{actor} revoked the API token “{token}” of {person}"),
        ),
        Event.TOKEN_REFUSED: Told(_("A request with the API token “{token}” of {person} was refused")),
        Event.TOKEN_USED_ELSEWHERE: Told(_("The API token “{token}” of {person} was used from a new network")),
    }


def tell_accounts(_: Translate) -> Sentences:
    """Long because it is a table."""
    return {
        Event.ACCOUNT_INVITED: Told(_("{person} was invited"), _("{actor} invited {person}")),
        Event.ACCOUNT_SIGNED_UP: Told(_("{person} signed up")),
        Event.ACCOUNT_ADDED: Told(_("An account was added for {person}"), _("{actor} added an account for {person}")),
        Event.ACCOUNT_REMOVED: Told(
            _("The account of {person} was removed"), _("{actor} removed the account of {person}")
        ),
        Event.ACCOUNT_RENAMED: Told(
            _("The name of {person} changed from {from} to {to}"),
            _("{actor} changed the name of {person} from {from} to {to}"),
        ),
        Event.ACCOUNT_ERASED: Told(
            _("The personal data of a person was erased from the log"),
            _("{actor} erased the personal data of a person from the log"),
        ),
        Event.ACCOUNT_DISABLED: Told(
            _("The account of {person} was disabled"), _("{actor} disabled the account of {person}")
        ),
        Event.ACCOUNT_ENABLED: Told(
            _("The account of {person} was enabled"), _("{actor} enabled the account of {person}")
        ),
        Event.ACCOUNT_ROLE_CHANGED: Told(
            _("The role of {person} changed from {from} to {to}"),
            _("{actor} changed the role of {person} from {from} to {to}"),
        ),
        Event.ACCOUNT_UPDATED: Told(
            _("The account of {person} was updated by an import"),
            _("{actor} updated the account of {person} by an import"),
        ),
        Event.ACCOUNT_UNLOCKED: Told(_("{person} was unlocked"), _("{actor} unlocked {person}")),
        Event.ACCOUNT_SECURED: Told(
            _("{person} ended all access after unauthorised use"),
            _("{actor} ended all access of {person} after unauthorised use"),
        ),
        Event.EMAIL_CHANGE_REQUESTED: Told(
            _("{person} asked to change their email to {to}"),
            _("{actor} asked to change the email of {person} to {to}"),
        ),
        Event.EMAIL_CHANGE_CONFIRMED: Told(_("The new address {to} of {person} was confirmed")),
        Event.EMAIL_CHANGE_AGREED: Told(_("The old address of {person} approved the change to {to}")),
        Event.EMAIL_CHANGE_STOPPED: Told(_("The old address of {person} stopped the change of email")),
        Event.EMAIL_CHANGED: Told(
            _("The email of {person} changed from {from} to {to}"),
            _("{actor} changed the email of {person} from {from} to {to}"),
        ),
        Event.EMAIL_CHANGE_UNDONE: Told(_("The change of email of {person} was undone")),
        Event.ACCOUNT_EMAIL_CHANGE_ASKED: Told(_("A change of email was requested for {person}")),
        Event.ACCOUNT_EMAIL_CHANGED: Told(_("The email of {person} changed")),
        Event.SCIM_USER_LINKED: Told(_("{person} is now managed by provisioning")),
        Event.SCIM_USER_CHANGED: Told(_("Provisioning changed the account of {person}")),
        Event.SCIM_USER_UNLINKED: Told(_("{person} is no longer managed by provisioning")),
        Event.SCIM_MEMBER_ADDED: Told(_("Provisioning added {person} to the group “{group}”")),
        Event.SCIM_MEMBER_REMOVED: Told(_("Provisioning removed {person} from the group “{group}”")),
        Event.SSO_ROLE_KEPT: Told(_("{person} kept the role of administrator, being the last one")),
        Event.PAGE_VIEWS_READ: Told(
            _("The page views of {person} were read"), _("{actor} read the page views of {person}")
        ),
        Event.PAGE_VIEWS_EXPORTED: Told(
            _("The page views of {person} were exported"), _("{actor} exported the page views of {person}")
        ),
        Event.MAIL_ABANDONED: Told(_("An email to {person} couldn’t be delivered")),
    }


def tell_settings(_: Translate) -> Sentences:
    """Return the sentences of events that the subject, or else the actor, has caused.

    Long because it is a table.
    """
    return {
        Event.TENANT_ADDED: Told(_("{person} added the tenant {tenant}")),
        Event.TENANT_RENAMED: Told(_("{person} renamed the tenant {tenant}")),
        Event.TENANT_SUSPENDED: Told(_("{person} suspended the tenant {tenant}")),
        Event.TENANT_RESUMED: Told(_("{person} reactivated the tenant {tenant}")),
        Event.TENANT_SIGN_IN_CHANGED: Told(_("{person} changed the sign-in requirements")),
        Event.TENANT_LANGUAGE_CHANGED: Told(_("{person} changed the tenant’s language")),
        Event.DOMAIN_CLAIMED: Told(_("{person} claimed the email domain {domain}")),
        Event.DOMAIN_RELEASED: Told(_("{person} released the email domain {domain}")),
        Event.NETWORKS_CHANGED: Told(
            _("{person} changed the allowed networks"), _("{actor} changed the allowed networks of {person}")
        ),
        Event.SSO_CHANGED: Told(_("{person} changed the settings of single sign-on")),
        Event.SSO_TRIED: Told(_("{person} tried out single sign-on")),
        Event.SSO_ENABLED: Told(_("{person} turned on single sign-on")),
        Event.SSO_DISABLED: Told(_("{person} turned off single sign-on")),
        Event.SSO_REMOVED: Told(_("{person} removed single sign-on")),
        Event.SSO_REQUIRED: Told(_("{person} made single sign-on required")),
        Event.SSO_OPTIONAL: Told(_("{person} made single sign-on optional")),
        Event.SSO_ROLES_CHANGED: Told(_("{person} changed the roles by single sign-on")),
        Event.SSO_KEY_MADE: Told(_("{person} made a signing key for single sign-on")),
        Event.SSO_KEY_USED: Told(_("{person} changed the signing key for single sign-on")),
        Event.SSO_KEY_REMOVED: Told(_("{person} removed a signing key for single sign-on")),
        Event.SSO_LOGOUT_REFUSED: Told(_("A sign-out by the identity provider was rejected")),
        Event.BREAK_GLASS_CHANGED: Told(_("{person} changed the exempt administrators")),
        Event.SCIM_TOKEN_CREATED: Told(_("{person} created a provisioning token")),
        Event.SCIM_TOKEN_REVOKED: Told(_("{person} revoked a provisioning token")),
        Event.SCIM_GROUP_ADDED: Told(_("Provisioning added the group “{group}”")),
        Event.SCIM_GROUP_CHANGED: Told(_("Provisioning changed the group “{group}”")),
        Event.SCIM_GROUP_REMOVED: Told(_("Provisioning removed the group “{group}”")),
        Event.SCIM_REFUSED: Told(_("A provisioning request was refused")),
        Event.PAGE_VIEWS_ENABLED: Told(_("{person} switched on the recording of page views")),
        Event.PAGE_VIEWS_DISABLED: Told(_("{person} switched off the recording of page views")),
        Event.ADDRESS_BLOCKED: Told(_("{person} blocked {network}")),
        Event.ADDRESS_UNBLOCKED: Told(_("{person} unblocked {network}")),
        Event.AUDIT_EXPORTED: Told(_("{person} downloaded the audit log")),
        Event.AUDIT_TRIMMED: Told(_("The oldest {rows} entries were deleted, as the settings say")),
        Event.ACCESS_EXPORTED: Told(_("{person} downloaded the list of who has access")),
        Event.ACCESS_REVIEWED: Told(_("{person} reviewed the access of all people")),
        Event.KEYS_ROTATED: Told(_("{person} re-encrypted the secrets with a new key")),
        Event.REPEATED: Told(_("{times} more within a minute, {person}: {event}")),
    }


def tell_failures(_: Translate) -> Cases:
    """Return more exact sentences, by event, the detail `factor`, and the detail `reason` or `where`; "" is any.

    `nobody` is the reason where a row has no account, and `unnamed` where it has no email either.
    Long because it is a table.
    """
    failed, second, totp = Event.LOGIN_FAILED, Event.LOGIN_2FA_FAILED, Factor.TOTP
    invalid = _("Second step for {person} failed: the code or link is no longer valid")
    many = _("Second step for {person} failed: too many wrong codes before")
    return {
        (failed, "", "wrong"): _("Sign-in as {person} failed: wrong password"),
        (failed, "", "nobody"): _("Sign-in as {person} failed: no account with this email"),
        (failed, "", "locked"): _("Sign-in as {person} failed: locked after too many failed attempts"),
        (failed, "", "changed"): _("Sign-in as {person} failed: the account changed meanwhile"),
        (failed, "", "while changing the password"): _("{person} couldn’t change the password: wrong current password"),
        (failed, "", "confirming an email"): _("{person} couldn’t confirm an email: wrong password"),
        (failed, "passkey", ""): _("Sign-in as {person} with a passkey failed"),
        (failed, "passkey", "unnamed"): _("Sign-in with a passkey failed"),
        (failed, "passkey", "password"): _("Sign-in as {person} with a passkey failed: the password is needed as well"),
        (failed, "sso", ""): _("Sign-in as {person} with single sign-on failed"),
        (failed, "sso", "unnamed"): _("Sign-in with single sign-on failed"),
        (Event.LOGIN_LOCKOUT, "passkey", "unnamed"): _("Passkeys were locked for an IP address after many failures"),
        (second, totp, "wrong"): _("Second step for {person} failed: wrong code"),
        (second, "backup_code", "wrong"): _("Second step for {person} failed: wrong backup code"),
        (second, "magic_link", "wrong"): _("Second step for {person} failed: wrong code or link"),
        (second, "passkey", ""): _("Second step for {person} failed: passkey rejected"),
        (second, "", "used"): _("Second step for {person} failed: the code was used before"),
        **{(second, "", reason): invalid for reason in ("late", "expired", "superseded")},
        **{(second, "", reason): many for reason in ("locked", "blocked")},
        (Event.NETWORK_REFUSED, "", "sign-in"): _("Sign-in as {person} failed: the network isn’t allowed"),
        (Event.NETWORK_REFUSED, "", "request"): _("A request by {person} was refused: the network isn’t allowed"),
        (Event.LOGIN, "", "factors"): _("{person} signed in with {factors}"),
        (Event.PASSWORD_RESET_ASKED, "", "no account with this email"): _(
            "A new password was requested for {person}, an email without an account"
        ),
        (Event.REPEATED, "", "unnamed"): _("{times} more within a minute: {event}"),
    }


def name_factors(_: Translate) -> Mapping[str, str]:
    """Return the factors as they are called after “signed in with”."""
    return {
        Factor.PASSWORD: _("a password"),
        Factor.TOTP: _("an authenticator app"),
        Factor.BACKUP_CODE: _("a backup code"),
        Factor.MAGIC_LINK: _("an email link"),
        Factor.PASSKEY: _("a passkey"),
        "sso": _("single sign-on"),
    }
