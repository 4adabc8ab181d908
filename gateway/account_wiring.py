"""Builds what stands behind the pages of accounts: passwords, signup, people. A part of wiring, read after it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from gateway.accounts.password_pages import PasswordPages, PasswordPaths
from gateway.accounts.passwords import PasswordService
from gateway.accounts.signup import SignupService
from gateway.accounts.signup_pages import SignupPages, SignupPaths
from gateway.hashing import Hasher
from gateway.limits import Limit
from gateway.login.answers import Answers
from gateway.mail.notices import Notices
from gateway.mail.outbox import Outbox
from gateway.pages import Renderer
from gateway.passwords.service import PasswordChecker
from gateway.sealing import Sealer
from gateway.settings.record import Settings
from gateway.store import Store

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
    password_limit: Limit
    paths: Mapping[str, str]


def account_handlers(settings: Settings, shared: Shared) -> dict[str, dict[str, Handler]]:
    """Return the handlers by the names of their routes and the method."""
    return {**password_handlers(settings, shared), **signup_handlers(settings, shared)}


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
        paths=SignupPaths(path["signup"], path["signup_confirm"], path["login"], path["password_hint"]),
    )
    return {
        "signup": {"GET": pages.show, "POST": pages.submit},
        "signup_confirm": {"GET": pages.show_confirm, "POST": pages.confirm},
    }
