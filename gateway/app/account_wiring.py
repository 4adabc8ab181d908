"""Builds what stands behind the pages of accounts: passwords, signup, people. A part of wiring, read after it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from gateway.accounts.csv_import.importer import Importer, Quota
from gateway.accounts.csv_import.pages import ImportPages
from gateway.accounts.email_change import Addresses, EmailChanges
from gateway.accounts.email_pages import EmailPages, EmailPaths
from gateway.accounts.invitations import Invitations
from gateway.accounts.pages import AccountsPages, AccountsPaths
from gateway.accounts.people import PeopleService
from gateway.crypto.hashing import Hasher
from gateway.crypto.sealing import Sealer
from gateway.login.answers import Answers
from gateway.mail.notices import Notices
from gateway.mail.outbox import Outbox
from gateway.passwords.changes import PasswordService
from gateway.passwords.pages import PasswordPages, PasswordPaths
from gateway.passwords.service import PasswordChecker
from gateway.sessions.reach import Reaches
from gateway.settings.record import Settings
from gateway.signup.pages import SignupPages, SignupPaths
from gateway.signup.service import SignupService
from gateway.store import Store
from gateway.tenants.pages import TenantPages, TenantService
from gateway.throttle.limits import Limit
from gateway.web.rendering import Renderer

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Shared:
    """What these pages have in common with those of signing in. `paths` are by the route's name."""

    store: Store
    hasher: Hasher
    checker: PasswordChecker
    renderer: Renderer
    answers: Answers
    sealer: Sealer
    outbox: Outbox
    notices: Notices
    invitations: Invitations
    email_changes: EmailChanges
    reaches: Reaches
    password_limit: Limit
    paths: Mapping[str, str]


def account_handlers(settings: Settings, shared: Shared) -> dict[str, dict[str, Handler]]:
    """Return the handlers by the names of their routes and the method."""
    importer = Importer(shared.store, shared.invitations, settings.access.owners, quota_of(settings))
    return {
        **password_handlers(settings, shared),
        **signup_handlers(settings, shared),
        **email_handlers(shared),
        **people_handlers(settings, shared, importer, "accounts", is_owners=False),
        **people_handlers(settings, shared, importer, "ops_accounts", is_owners=True),
        **tenant_handlers(shared),
    }


def password_handlers(settings: Settings, shared: Shared) -> dict[str, dict[str, Handler]]:
    path = shared.paths
    pages = PasswordPages(
        service=PasswordService(
            store=shared.store,
            hasher=shared.hasher,
            checker=shared.checker,
            sealer=shared.sealer,
            outbox=shared.outbox,
            notices=shared.notices,
            limit=shared.password_limit,
            product=settings.pages.product,
            reset_address=settings.public_url + path["reset"],
        ),
        checker=shared.checker,
        renderer=shared.renderer,
        answers=shared.answers,
        paths=PasswordPaths(
            forgot=path["forgot"],
            reset=path["reset"],
            invite=path["invite"],
            change=path["password"],
            hint=path["password_hint"],
            login=path["login"],
            security=path["security"],
        ),
        product=settings.pages.product,
    )
    return {
        "forgot": {"GET": pages.show_forgot, "POST": pages.ask},
        "reset": {"GET": pages.show_reset, "POST": pages.reset},
        "invite": {"GET": pages.show_invite, "POST": pages.accept},
        "password": {"GET": pages.show_change, "POST": pages.change},
        "password_hint": {"POST": pages.hint},
        "change_password": {"GET": pages.well_known},
        "not_there": {"GET": pages.not_there},
    }


def signup_handlers(settings: Settings, shared: Shared) -> dict[str, dict[str, Handler]]:
    path = shared.paths
    pages = SignupPages(
        service=SignupService(
            store=shared.store,
            hasher=shared.hasher,
            checker=shared.checker,
            sealer=shared.sealer,
            outbox=shared.outbox,
            settings=settings.signup,
            owners=settings.access.owners,
            product=settings.pages.product,
            confirm_address=settings.public_url + path["signup_confirm"],
            login_address=settings.public_url + path["login"],
        ),
        renderer=shared.renderer,
        steps=shared.answers,
        paths=SignupPaths(path["signup"], path["signup_confirm"], path["login"], path["password_hint"]),
    )
    return {
        "signup": {"GET": pages.show, "POST": pages.submit},
        "signup_confirm": {"GET": pages.show_confirm, "POST": pages.confirm},
    }


def email_handlers(shared: Shared) -> dict[str, dict[str, Handler]]:
    path = shared.paths
    pages = EmailPages(
        changes=shared.email_changes,
        renderer=shared.renderer,
        steps=shared.answers,
        paths=EmailPaths(
            own=path["email"],
            login=path["login"],
            forgot=path["forgot"],
            reset=path["reset"],
            security=path["security"],
        ),
    )
    return {
        "email": {"GET": pages.show_own, "POST": pages.ask},
        "email_confirm": {"GET": pages.show, "POST": pages.confirm},
        "email_old": {"GET": pages.show_old, "POST": pages.answer_old},
        "email_undo": {"GET": pages.show_undo, "POST": pages.undo},
    }


def email_addresses(settings: Settings, path: Mapping[str, str]) -> Addresses:
    """Return where the links about a change of email are opened."""
    return Addresses(*(settings.public_url + path[name] for name in ("email_confirm", "email_old", "email_undo")))


def people_handlers(
    settings: Settings, shared: Shared, importer: Importer, name: str, *, is_owners: bool
) -> dict[str, dict[str, Handler]]:
    """Return the handlers of one set of pages about people: an admin's, or the owner's across tenants."""
    path = shared.paths
    paths = AccountsPaths(
        overview=path[name],
        member=path[f"{name}_member"],
        invite=path[f"{name}_invite"],
        bulk=path[f"{name}_import"],
        bulk_start=path[f"{name}_import_start"],
        reset=path[f"{name}_reset"],
        sign_out=path[f"{name}_sign_out"],
        audit=path["ops_audit" if is_owners else "audit"],
    )
    owners = settings.access.owners
    pages = AccountsPages(
        service=PeopleService(
            store=shared.store,
            notices=shared.notices,
            invitations=shared.invitations,
            email_changes=shared.email_changes,
            owners=owners,
        ),
        renderer=shared.renderer,
        steps=shared.answers,
        paths=paths,
        reaches=shared.reaches,
        is_owners=is_owners,
    )
    imports = ImportPages(
        importer=importer,
        renderer=shared.renderer,
        steps=shared.answers,
        paths=paths,
        is_owners=is_owners,
    )
    return {
        name: {"GET": pages.show},
        f"{name}_member": {"GET": pages.show_member, "POST": pages.change},
        f"{name}_invite": {"GET": pages.show_invite, "POST": pages.invite},
        f"{name}_import": {"GET": imports.show, "POST": imports.submit},
        f"{name}_import_start": {"POST": imports.start},
        f"{name}_reset": {"GET": pages.confirm_reset, "POST": pages.reset},
        f"{name}_sign_out": {"GET": pages.confirm_sign_out, "POST": pages.sign_out},
    }


def quota_of(settings: Settings) -> Quota:
    return Quota(settings.limits.uploads_per_day, settings.limits.upload_bytes_per_day)


def tenant_handlers(shared: Shared) -> dict[str, dict[str, Handler]]:
    pages = TenantPages(
        service=TenantService(shared.store),
        reaches=shared.reaches,
        renderer=shared.renderer,
        steps=shared.answers,
        path=shared.paths["ops_tenants"],
        accounts_path=shared.paths["ops_accounts"],
    )
    return {"ops_tenants": {"GET": pages.show, "POST": pages.change}}
