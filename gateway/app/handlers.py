"""Builds the pages, and binds the handler of each route."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from gateway.accounts.csv_import.pages import ImportPages
from gateway.accounts.email_pages import EmailPages, EmailPaths
from gateway.accounts.pages import AccountsPages, AccountsPaths
from gateway.accounts.people import PeopleService
from gateway.app.services import Services
from gateway.audit.pages import AuditPages, AuditPaths
from gateway.crypto import keys
from gateway.devices.pages import DevicePages, DevicePaths
from gateway.devices.service import DeviceService
from gateway.dispatch.forms.pages import FormPages
from gateway.login.code_pages import CodePages
from gateway.login.counting import Count, SignInCounts
from gateway.login.link_pages import LinkPages
from gateway.login.links import LinkSender
from gateway.login.pages import LoginPages, LoginPaths
from gateway.login.security import SecurityService
from gateway.login.security_pages import SecurityPages, SecurityPaths
from gateway.login.service import SignInService
from gateway.ops.failed_passwords import FailedPasswords
from gateway.ops.pages import AttackPages
from gateway.passwords.changes import PasswordService
from gateway.passwords.pages import PasswordPages, PasswordPaths
from gateway.signup.pages import SignupPages, SignupPaths
from gateway.signup.service import SignupService
from gateway.tenants.pages import TenantPages, TenantService
from gateway.web.rendering import Renderer
from gateway.web.visit import visit_of

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Handlers = dict[str, dict[str, Handler]]  # by the route's name and the method

# Pages that refuse a blocked address, unless a session is signed in.
SIGN_IN_PAGES = frozenset(
    ("login", "totp", "backup", "link", "link_opened", "forgot", "reset", "signup", "invite", "email_confirm")
)

# Pages that need a mail server, and why.
NEED_MAIL = {
    "forgot": "password",
    "signup": "signup",
    "email": "email",
    **dict.fromkeys(
        (f"{pages}_{name}" for pages in ("accounts", "ops_accounts") for name in ("invite", "import", "import_start")),
        "invitation",
    ),
}


def build_handlers(services: Services, count_sign_in: Count) -> Handlers:
    """Return the handlers of all pages, by the names of their routes."""
    attacks = AttackPages(
        service=services.attacks,
        reaches=services.reaches,
        renderer=services.renderer,
        path=services.paths["ops"],
        block_path=services.paths["ops_block"],
    )
    handlers: Handlers = {
        **sign_in_handlers(services, SignInCounts(count_sign_in)),
        **security_handlers(services),
        **device_handlers(services),
        **form_handlers(services),
        **password_handlers(services),
        **signup_handlers(services),
        **email_handlers(services),
        **people_handlers(services, "accounts", is_owners=False),
        **people_handlers(services, "ops_accounts", is_owners=True),
        **tenant_handlers(services),
        **audit_handlers(services, "audit", is_owners=False),
        **audit_handlers(services, "ops_audit", is_owners=True),
        "ops_unlock": {"POST": attacks.unlock},
        "ops_block": {"POST": attacks.block},
        "ops_unblock": {"POST": attacks.unblock},
        "static": {"GET": services.renderer.static},
        "jwks": {"GET": key_set_handler(services)},
    }
    if not services.settings.mail.is_on:
        handlers |= without_mail(services.renderer, handlers)
    return {
        name: {method: attacks.refuse_blocked(handler) for method, handler in by_method.items()}
        if name in SIGN_IN_PAGES
        else by_method
        for name, by_method in handlers.items()
    }


def sign_in_handlers(services: Services, counts: SignInCounts) -> Handlers:
    path, renderer, answers = services.paths, services.renderer, services.answers
    links = LinkPages(
        flow=services.flow,
        sender=LinkSender(services.store, services.outbox, services.sender, services.address("link_opened")),
        factor=services.magic_links,
        renderer=renderer,
        answers=answers,
        counts=counts,
    )
    codes = CodePages(
        flow=services.flow,
        links=links,
        renderer=renderer,
        answers=answers,
        totp=services.totp,
        issuer=services.settings.pages.product,
        side=services.side,
        counts=counts,
        backup_path=path["backup"],
        enrol_path=path["security_totp"],
    )
    login = LoginPages(
        service=SignInService(
            store=services.store,
            hasher=services.hasher,
            limit=services.password_limit,
            flow=services.flow,
            failed_passwords=FailedPasswords(services.settings.secrets[0]),
            queue=services.settings.limits.hashing_queue,
        ),
        flow=services.flow,
        links=links,
        renderer=renderer,
        answers=answers,
        counts=counts,
        paths=LoginPaths(
            login=path["login"],
            forgot=path["forgot"] if "forgot" in services.routes else "",
            signup=path["signup"] if "signup" in services.routes else "",
        ),
    )
    return {
        "login": {"GET": login.show, "POST": login.submit},
        "totp": {"GET": codes.show_totp, "POST": codes.submit_totp},
        "backup": {"GET": codes.show_backup, "POST": codes.submit_backup},
        "link": {"GET": links.show, "POST": links.submit},
        "link_opened": {"GET": links.open, "POST": links.complete},
        "clear": {"GET": login.clear},
        "logout": {"GET": login.confirm_sign_out, "POST": login.sign_out},
    }


def security_handlers(services: Services) -> Handlers:
    path = services.paths
    security = SecurityPages(
        service=SecurityService(
            store=services.store,
            flow=services.flow,
            backup_codes=services.backup_codes,
            notices=services.notices,
        ),
        renderer=services.renderer,
        answers=services.answers,
        factor=services.totp,
        issuer=services.settings.pages.product,
        side=services.side,
        paths=SecurityPaths(
            overview=path["security"],
            totp=path["security_totp"],
            codes=path["security_codes"],
            off=path["security_off"],
            others=path["sessions_others"],
            sessions=path["sessions"],
            password=path["password"],
            email=path["email"],
        ),
    )
    return {
        "security": {"GET": security.show},
        "security_totp": {"GET": security.show_totp, "POST": security.submit_totp},
        "security_codes": {"GET": security.confirm_codes, "POST": security.regenerate},
        "security_off": {"GET": security.confirm_off, "POST": security.turn_off},
    }


def device_handlers(services: Services) -> Handlers:
    path = services.paths
    devices = DevicePages(
        service=DeviceService(services.store, services.notices, services.lifetimes),
        reaches=services.reaches,
        attacks=services.attacks,
        links=services.revoke_links,
        renderer=services.renderer,
        paths=DevicePaths(
            overview=path["sessions"],
            revoke=path["sessions_revoke"],
            others=path["sessions_others"],
            ops=path["ops"],
            security=path["security"],
            password=path["password"],
            accounts=path["ops_accounts"],
            tenants=path["ops_tenants"],
            ops_unlock=path["ops_unlock"],
            ops_block=path["ops_block"],
            ops_unblock=path["ops_unblock"],
            ops_audit=path["ops_audit"],
        ),
    )
    return {
        "sessions": {"GET": devices.show},
        "sessions_revoke": {"POST": devices.revoke},
        "sessions_others": {"POST": devices.end_others},
        "device_revoke": {"GET": devices.show_link, "POST": devices.use_link},
        "ops": {"GET": devices.show_ops, "POST": devices.end_from_ops},
    }


def form_handlers(services: Services) -> Handlers:
    forms = FormPages(
        forms=services.kept_forms,
        renderer=services.renderer,
        path=services.paths["form"],
        sign_in_path=services.paths["login"],
        origins=services.origins,
    )
    return {
        "form": {"GET": forms.show},
        "keep": {"POST": forms.keep},
        "keep_foreign": {"POST": forms.keep_foreign},
    }


def audit_handlers(services: Services, name: str, *, is_owners: bool) -> Handlers:
    """Return the handlers of one log: that of an admin's tenant, or the owner's across tenants."""
    export = f"{name}_export"
    audit = AuditPages(
        store=services.store,
        renderer=services.renderer,
        paths=AuditPaths(services.paths[name], services.paths[export]),
        is_owners=is_owners,
    )
    return {name: {"GET": audit.show}, export: {"POST": audit.export}}


def password_handlers(services: Services) -> Handlers:
    path = services.paths
    pages = PasswordPages(
        service=PasswordService(
            store=services.store,
            hasher=services.hasher,
            checker=services.checker,
            sealer=services.sealer,
            outbox=services.outbox,
            notices=services.notices,
            limit=services.password_limit,
            product=services.settings.pages.product,
            reset_address=services.address("reset"),
        ),
        checker=services.checker,
        renderer=services.renderer,
        answers=services.answers,
        paths=PasswordPaths(
            forgot=path["forgot"],
            reset=path["reset"],
            invite=path["invite"],
            change=path["password"],
            hint=path["password_hint"],
            login=path["login"],
            security=path["security"],
        ),
        product=services.settings.pages.product,
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


def signup_handlers(services: Services) -> Handlers:
    path = services.paths
    pages = SignupPages(
        service=SignupService(
            store=services.store,
            hasher=services.hasher,
            checker=services.checker,
            sealer=services.sealer,
            outbox=services.outbox,
            settings=services.settings.signup,
            owners=services.settings.access.owners,
            product=services.settings.pages.product,
            confirm_address=services.address("signup_confirm"),
            login_address=services.address("login"),
        ),
        renderer=services.renderer,
        steps=services.answers,
        paths=SignupPaths(path["signup"], path["signup_confirm"], path["login"], path["password_hint"]),
    )
    return {
        "signup": {"GET": pages.show, "POST": pages.submit},
        "signup_confirm": {"GET": pages.show_confirm, "POST": pages.confirm},
    }


def email_handlers(services: Services) -> Handlers:
    path = services.paths
    pages = EmailPages(
        changes=services.email_changes,
        renderer=services.renderer,
        steps=services.answers,
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


def people_handlers(services: Services, name: str, *, is_owners: bool) -> Handlers:
    """Return the handlers of one set of pages about people: an admin's, or the owner's across tenants."""
    path = services.paths
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
    owners = services.settings.access.owners
    pages = AccountsPages(
        service=PeopleService(
            store=services.store,
            notices=services.notices,
            invitations=services.invitations,
            email_changes=services.email_changes,
            owners=owners,
        ),
        renderer=services.renderer,
        steps=services.answers,
        paths=paths,
        reaches=services.reaches,
        is_owners=is_owners,
    )
    imports = ImportPages(
        importer=services.importer,
        renderer=services.renderer,
        steps=services.answers,
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


def tenant_handlers(services: Services) -> Handlers:
    pages = TenantPages(
        service=TenantService(services.store),
        reaches=services.reaches,
        renderer=services.renderer,
        steps=services.answers,
        path=services.paths["ops_tenants"],
        accounts_path=services.paths["ops_accounts"],
    )
    return {"ops_tenants": {"GET": pages.show, "POST": pages.change}}


def without_mail(renderer: Renderer, handlers: Handlers) -> Handlers:
    """Return what stands in the place of the pages that need a mail server: a page that says what to do instead."""

    def tell(why: str) -> Handler:
        async def show(request: web.Request) -> web.StreamResponse:
            status = 200 if request.method in ("GET", "HEAD") else 503
            return renderer.page("no-mail.html", visit_of(request), status=status, why=why)

        return show

    return {name: dict.fromkeys(handlers[name], tell(why)) for name, why in NEED_MAIL.items() if name in handlers}


def key_set_handler(services: Services) -> Handler:
    key_set = keys.public_key_set(services.settings.secrets)

    async def show_keys(_: web.Request) -> web.StreamResponse:
        return web.json_response(key_set, headers={"Cache-Control": "public, max-age=300"})

    return show_keys
