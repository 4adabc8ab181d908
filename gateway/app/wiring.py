"""Builds what stands behind the gateway's own pages: services, factors, mail, and the handler of each route.

A part of the composition root (app), in a file of its own so that each can be read at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from aiohttp import web

from gateway.accounts.email_change import EmailChanges
from gateway.accounts.invitations import Invitations
from gateway.app.account_wiring import Shared, account_handlers, email_addresses
from gateway.audit.keeping import Keeper
from gateway.audit.marks import Signer
from gateway.audit.pages import AuditPages, AuditPaths
from gateway.crypto import keys
from gateway.crypto.hashing import Hasher
from gateway.crypto.sealing import Sealer
from gateway.devices.new_device import NewDevices
from gateway.devices.pages import DevicePages, DevicePaths
from gateway.devices.revoke_link import RevokeLinks
from gateway.devices.service import DeviceService
from gateway.dispatch.forms.pages import FormPages
from gateway.dispatch.forms.service import KeptForms
from gateway.edge.origin import origins_of
from gateway.factors.backup_code import BackupCodeFactor
from gateway.factors.magic_link import MagicLinkFactor
from gateway.factors.totp import TOTPFactor
from gateway.login.answers import Answers
from gateway.login.code_pages import CodePages
from gateway.login.counting import Count, SignInCounts
from gateway.login.flow import Flow
from gateway.login.guard import Guard
from gateway.login.link_pages import LinkPages
from gateway.login.links import LinkSender
from gateway.login.pages import LoginPages, LoginPaths
from gateway.login.security import SecurityService
from gateway.login.security_pages import SecurityPages, SecurityPaths
from gateway.login.service import SignInService
from gateway.mail.compose import Composer
from gateway.mail.notices import Notices
from gateway.mail.outbox import Outbox
from gateway.mail.sender import Sender
from gateway.mail.smtp import Mailer
from gateway.model.factor import Factor
from gateway.model.secret import Secret
from gateway.model.session import Lifetime, Lifetimes
from gateway.ops.failed_passwords import FailedPasswords
from gateway.ops.pages import AttackPages
from gateway.ops.service import AttackService
from gateway.passwords.service import PasswordChecker
from gateway.sessions.reach import Reaches
from gateway.settings.record import Lifespan, Settings
from gateway.store import Store
from gateway.throttle.limits import Limit
from gateway.throttle.side_work import SideWork
from gateway.web.rendering import Renderer
from gateway.web.return_to import DeadEnds
from gateway.web.visit import visit_of

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Handlers = Mapping[str, Mapping[str, Handler]]  # by the route's name and the method

# Where a blocked address is refused, unless somebody is signed in.
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


@dataclass(frozen=True, slots=True)
class Parts:
    """What several pages share."""

    store: Store
    hasher: Hasher
    renderer: Renderer
    forms: KeptForms
    count_sign_in: Count
    paths: Mapping[str, str]  # by the route's name, without its variable
    served: frozenset[str]  # the names of the routes that are not switched off
    dead_ends: DeadEnds
    checker: PasswordChecker
    side: SideWork

    def has(self, name: str) -> bool:
        return name in self.served


def build_handlers(settings: Settings, parts: Parts) -> Handlers:
    """Return the handlers of all pages, by the names of their routes."""
    path = parts.paths
    configured = settings.limits
    sealer = Sealer(settings.secrets)
    notices = notices_of(settings, path)
    totp_factor, backup_codes = TOTPFactor(sealer), BackupCodeFactor(sealer)
    magic_links = magic_links_of(settings)
    revoke_links = RevokeLinks(settings.secrets, settings.public_url + path["device_revoke"])
    flow = Flow(
        store=parts.store,
        guard=Guard(Limit(configured.code_failures, configured.code_window_seconds, configured.code_lock_seconds)),
        owners=settings.access.owners,
        notices=notices,
        new_devices=NewDevices(notices, revoke_links, settings.public_url + path["sessions"]),
        totp_factor=totp_factor,
        backup_codes=backup_codes,
        magic_links=magic_links,
    )
    answers = Answers(
        steps=steps_of(path),
        dead_ends=parts.dead_ends,
        cookie=settings.sessions.cookie,
        lifetimes=lifetimes_of(settings),
        clear_path=path["clear"],
    )
    counts = SignInCounts(parts.count_sign_in)
    links = LinkPages(
        flow=flow,
        sender=LinkSender(
            parts.store,
            outbox_of(settings),
            sender_of(settings, parts.store),
            link_address(settings, path),
        ),
        factor=magic_links,
        renderer=parts.renderer,
        answers=answers,
        counts=counts,
    )
    issuer = settings.pages.product
    codes = CodePages(
        flow=flow,
        links=links,
        renderer=parts.renderer,
        answers=answers,
        totp=totp_factor,
        issuer=issuer,
        side=parts.side,
        counts=counts,
        backup_path=path["backup"],
        enrol_path=path["security_totp"],
    )
    password_limit = password_limit_of(settings)
    login = LoginPages(
        service=SignInService(
            store=parts.store,
            hasher=parts.hasher,
            limit=password_limit,
            flow=flow,
            failed_passwords=FailedPasswords(settings.secrets[0]),
            queue=configured.hashing_queue,
        ),
        flow=flow,
        links=links,
        renderer=parts.renderer,
        answers=answers,
        counts=counts,
        paths=LoginPaths(
            login=path["login"],
            forgot=path["forgot"] if parts.has("forgot") else "",
            signup=path["signup"] if parts.has("signup") else "",
        ),
    )
    security = SecurityPages(
        service=SecurityService(store=parts.store, flow=flow, backup_codes=backup_codes, notices=notices),
        renderer=parts.renderer,
        answers=answers,
        factor=totp_factor,
        issuer=issuer,
        side=parts.side,
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
    attack_service = attacks_of(settings, parts.store, path)
    reaches = Reaches(parts.store, settings.access.owners, lifetimes_of(settings))
    attacks = AttackPages(
        service=attack_service,
        reaches=reaches,
        renderer=parts.renderer,
        path=path["ops"],
        block_path=path["ops_block"],
    )
    audit, ops_audit = (
        AuditPages(
            store=parts.store,
            renderer=parts.renderer,
            paths=AuditPaths(path[name], path[f"{name}_export"]),
            is_owners=name == "ops_audit",
        )
        for name in ("audit", "ops_audit")
    )
    devices = DevicePages(
        service=DeviceService(parts.store, notices, lifetimes_of(settings)),
        reaches=reaches,
        attacks=attack_service,
        links=revoke_links,
        renderer=parts.renderer,
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
    forms = FormPages(
        forms=parts.forms,
        renderer=parts.renderer,
        path=path["form"],
        sign_in_path=path["login"],
        origins=own_origins(settings),
    )
    shared = Shared(
        store=parts.store,
        hasher=parts.hasher,
        checker=parts.checker,
        renderer=parts.renderer,
        answers=answers,
        sealer=sealer,
        outbox=outbox_of(settings),
        notices=notices,
        invitations=invitations_of(settings, path),
        email_changes=email_changes_of(settings, parts.store, parts.hasher, path),
        reaches=reaches,
        password_limit=password_limit,
        paths=path,
    )
    handlers: Handlers = {
        **account_handlers(settings, shared),
        "login": {"GET": login.show, "POST": login.submit},
        "totp": {"GET": codes.show_totp, "POST": codes.submit_totp},
        "backup": {"GET": codes.show_backup, "POST": codes.submit_backup},
        "link": {"GET": links.show, "POST": links.submit},
        "link_opened": {"GET": links.open, "POST": links.complete},
        "form": {"GET": forms.show},
        "keep": {"POST": forms.keep},
        "keep_foreign": {"POST": forms.keep_foreign},
        "clear": {"GET": login.clear},
        "logout": {"GET": login.confirm_sign_out, "POST": login.sign_out},
        "security": {"GET": security.show},
        "security_totp": {"GET": security.show_totp, "POST": security.submit_totp},
        "security_codes": {"GET": security.confirm_codes, "POST": security.regenerate},
        "security_off": {"GET": security.confirm_off, "POST": security.turn_off},
        "sessions": {"GET": devices.show},
        "sessions_revoke": {"POST": devices.revoke},
        "sessions_others": {"POST": devices.end_others},
        "device_revoke": {"GET": devices.show_link, "POST": devices.use_link},
        "ops": {"GET": devices.show_ops, "POST": devices.end_from_ops},
        "ops_unlock": {"POST": attacks.unlock},
        "ops_block": {"POST": attacks.block},
        "ops_unblock": {"POST": attacks.unblock},
        "ops_audit": {"GET": ops_audit.show},
        "ops_audit_export": {"POST": ops_audit.export},
        "audit": {"GET": audit.show},
        "audit_export": {"POST": audit.export},
        "static": {"GET": parts.renderer.static},
        "jwks": {"GET": key_set_handler(settings)},
    }
    if not settings.mail.is_on:
        handlers = {**handlers, **without_mail(parts.renderer, handlers)}
    return {
        name: {method: attacks.refuse_blocked(handler) for method, handler in by_method.items()}
        if name in SIGN_IN_PAGES
        else by_method
        for name, by_method in handlers.items()
    }


def without_mail(renderer: Renderer, handlers: Handlers) -> Handlers:
    """Return what stands in the place of the pages that need a mail server: a page that says what to do instead."""

    def tell(why: str) -> Handler:
        async def show(request: web.Request) -> web.StreamResponse:
            status = 200 if request.method in ("GET", "HEAD") else 503
            return renderer.page("no-mail.html", visit_of(request), status=status, why=why)

        return show

    return {name: dict.fromkeys(handlers[name], tell(why)) for name, why in NEED_MAIL.items() if name in handlers}


def key_set_handler(settings: Settings) -> Handler:
    key_set = keys.public_key_set(settings.secrets)

    async def show_keys(_: web.Request) -> web.StreamResponse:
        return web.json_response(key_set, headers={"Cache-Control": "public, max-age=300"})

    return show_keys


def steps_of(paths: Mapping[str, str]) -> Mapping[Factor, str]:
    """Return the path of the page where each factor is proved."""
    return {
        Factor.PASSWORD: paths["login"],
        Factor.TOTP: paths["totp"],
        Factor.BACKUP_CODE: paths["backup"],
        Factor.MAGIC_LINK: paths["link"],
    }


def magic_links_of(settings: Settings) -> MagicLinkFactor:
    newest, *older = (Secret(keys.derive(secret, "magic-link/code", 32)) for secret in settings.secrets)
    return MagicLinkFactor(newest, older)


def link_address(settings: Settings, paths: Mapping[str, str]) -> str:
    """Return the whole address under which mailed links are opened, up to the token."""
    return settings.public_url + paths["link_opened"]


def lifetimes_of(settings: Settings) -> Lifetimes:
    def lifetime(lifespan: Lifespan) -> Lifetime:
        return Lifetime(lifespan.idle_seconds, lifespan.absolute_seconds)

    return Lifetimes(lifetime(settings.sessions.members), lifetime(settings.sessions.owners))


def notices_of(settings: Settings, paths: Mapping[str, str]) -> Notices:
    return Notices(outbox_of(settings), settings.public_url + paths["security"])


def invitations_of(settings: Settings, paths: Mapping[str, str]) -> Invitations:
    return Invitations(outbox_of(settings), Sealer(settings.secrets), settings.public_url + paths["invite"])


def password_limit_of(settings: Settings) -> Limit:
    configured = settings.limits
    return Limit(configured.password_failures, configured.password_window_seconds, configured.password_lock_seconds)


def email_changes_of(settings: Settings, store: Store, hasher: Hasher, paths: Mapping[str, str]) -> EmailChanges:
    return EmailChanges(
        store=store,
        hasher=hasher,
        sealer=Sealer(settings.secrets),
        outbox=outbox_of(settings),
        notices=notices_of(settings, paths),
        owners=settings.access.owners,
        limit=password_limit_of(settings),
        addresses=email_addresses(settings, paths),
    )


def attacks_of(settings: Settings, store: Store, paths: Mapping[str, str]) -> AttackService:
    return AttackService(
        store=store,
        outbox=outbox_of(settings),
        owners=settings.access.owners,
        many=settings.audit.spray_accounts,
        ops_link=settings.public_url + paths["ops"],
    )


def keeper_of(settings: Settings, store: Store) -> Keeper:
    audit = settings.audit
    return Keeper(
        store=store,
        signer=Signer(settings.secrets),
        outbox=outbox_of(settings),
        checkpoint_file=audit.checkpoint_file,
        checkpoint_mail=audit.checkpoint_mail,
        keep_days=audit.keep_days,
    )


def composer_of(settings: Settings) -> Composer:
    pages = settings.pages
    return Composer(
        product=pages.product,
        accent=pages.accent,
        support=pages.support,
        language=pages.language,
        public_url=settings.public_url,
        sender=settings.mail.sender,
    )


def own_origins(settings: Settings) -> frozenset[str]:
    """Return the origins of the site: that of public_url, and those of the other hosts."""
    public = urlsplit(settings.public_url)
    return origins_of(public.scheme, (public.netloc, *settings.hosts))


def outbox_of(settings: Settings) -> Outbox:
    return Outbox(composer_of(settings), Sealer(settings.secrets), is_on=settings.mail.is_on)


def sender_of(settings: Settings, store: Store) -> Sender:
    return Sender(store, mailer_of(settings), Sealer(settings.secrets))


def mailer_of(settings: Settings) -> Mailer:
    mail = settings.mail
    return Mailer(
        host=mail.host,
        port=mail.port,
        security=mail.security,
        username=mail.username,
        password=settings.mail_password,
        seconds=mail.seconds,
        ca_file=mail.ca_file,
    )
