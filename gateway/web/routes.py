"""The one table of the gateway's own pages: what each is called, where it is, and who may open it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from gateway.policy.decision import Need, Rules
from gateway.settings.record import Settings
from gateway.web.return_to import DeadEnds


@dataclass(frozen=True, slots=True)
class Route:
    """One of the gateway's own pages. A path may end in one variable segment, `{name}`, and has no other."""

    name: str
    path: str
    need: Need


ROUTES = (
    Route("login", "/login", Need.NOBODY),
    Route("totp", "/login/totp", Need.NOBODY),
    Route("backup", "/login/backup", Need.NOBODY),
    Route("link", "/login/link", Need.NOBODY),
    Route("link_opened", "/login/link/{token}", Need.NOBODY),
    Route("form", "/login/form/{token}", Need.SESSION),
    Route("clear", "/login/clear", Need.SESSION),
    Route("logout", "/logout", Need.NOBODY),
    Route("forgot", "/forgot-password", Need.NOBODY),
    Route("reset", "/reset-password/{token}", Need.NOBODY),
    Route("invite", "/invite/{token}", Need.NOBODY),
    Route("signup", "/signup", Need.NOBODY),
    Route("signup_confirm", "/signup/{token}", Need.NOBODY),
    Route("email", "/me/email", Need.SESSION),
    Route("email_confirm", "/me/email/{token}", Need.NOBODY),
    Route("email_old", "/me/email-change/{token}", Need.NOBODY),
    Route("email_undo", "/me/email-undo/{token}", Need.NOBODY),
    Route("password", "/me/password", Need.SESSION),
    Route("password_hint", "/_gateway/password-hint", Need.NOBODY),
    Route("change_password", "/.well-known/change-password", Need.NOBODY),
    Route("not_there", "/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200", Need.NOBODY),
    Route("security", "/me/security", Need.SESSION),
    Route("security_totp", "/me/security/totp", Need.SESSION),
    Route("security_codes", "/me/security/codes", Need.SESSION),
    Route("security_off", "/me/security/off", Need.SESSION),
    Route("sessions", "/me/sessions", Need.SESSION),
    Route("sessions_revoke", "/me/sessions/revoke", Need.SESSION),
    Route("sessions_others", "/me/sessions/others", Need.SESSION),
    Route("device_revoke", "/devices/revoke/{token}", Need.NOBODY),
    Route("ops", "/ops", Need.OWNER),
    Route("ops_unlock", "/ops/unlock", Need.OWNER),
    Route("ops_block", "/ops/block", Need.OWNER),
    Route("ops_unblock", "/ops/unblock", Need.OWNER),
    Route("ops_audit", "/ops/audit", Need.OWNER),
    Route("ops_audit_export", "/ops/audit/export", Need.OWNER),
    Route("audit", "/admin/audit", Need.ADMIN),
    Route("audit_export", "/admin/audit/export", Need.ADMIN),
    *(
        Route(f"{name}{more}", f"{path}{below}", need)
        for name, path, need in (
            ("accounts", "/admin/accounts", Need.ADMIN),
            ("ops_accounts", "/ops/accounts", Need.OWNER),
        )
        for more, below in (
            ("", ""),
            ("_member", "/member"),
            ("_invite", "/invite"),
            ("_import", "/import"),
            ("_import_start", "/import/start"),
            ("_reset", "/reset-2fa"),
            ("_sign_out", "/sign-out"),
        )
    ),
    Route("ops_tenants", "/ops/tenants", Need.OWNER),
    Route("static", "/_gateway/static/{name}", Need.NOBODY),
    Route("auth", "/_gateway/auth", Need.NOBODY),
    Route("jwks", "/.well-known/otium-gateway/jwks.json", Need.NOBODY),
)

FIXED = ("/_gateway/", "/.well-known/")
SIGNUP = ("signup", "signup_confirm")
NO_PAGES = ("static", "auth", "password_hint")
# The routes of signing in, but for the page of a kept form, which people sign in to see.
SIGN_IN = tuple(route.name for route in ROUTES if f"{route.path}/".startswith("/login/") and route.name != "form")


def routes_of(settings: Settings) -> dict[str, Route]:
    """Return the routes by name, moved or left out as `[pages]` says."""
    routes = (replace(route, path=settings.pages.paths.get(route.name, route.path)) for route in placed(settings))
    is_off = settings.signup.mode == "off"  # then these addresses are the application's, which may have its own signup
    return {route.name: route for route in routes if route.path and not (is_off and route.name in SIGNUP)}


def placed(settings: Settings) -> Iterator[Route]:
    """Yield every route below the prefix, save those that stand where other programs look for them."""
    for route in ROUTES:
        is_fixed = route.path.startswith(FIXED)
        yield route if is_fixed else replace(route, path=settings.pages.prefix + route.path)


def paths_of(settings: Settings) -> dict[str, str]:
    """Return every route's path, up to its variable; that of a page that is switched off is where it would be."""
    routes = {route.name: route for route in placed(settings)} | routes_of(settings)
    return {name: route.path.partition("{")[0] for name, route in routes.items()}


def dead_ends_of(settings: Settings) -> DeadEnds:
    """Return at which paths signing in should not end, by where the pages are."""
    routes = routes_of(settings)
    paths = [routes[name].path for name in (*SIGN_IN, "logout", *NO_PAGES) if name in routes]
    below = [path.partition("{")[0] for path in paths if "{" in path]
    if "login" not in settings.pages.paths:  # below an address that the operator chose, the application may have pages
        below.append(f"{routes['login'].path}/")
    pages = frozenset(path for path in paths if "{" not in path)
    return DeadEnds(pages, tuple(below), paths_of(settings)["form"])


def secret_parents(routes: Iterable[Route]) -> tuple[str, ...]:
    """Return the paths below which a segment lets in whoever knows it."""
    return tuple(route.path.removesuffix("{token}") for route in routes if route.path.endswith("/{token}"))


def rules_of(settings: Settings) -> Rules:
    """Return what the gate goes by: the access file and the routes."""
    exact: dict[str, Need] = {}
    parents: dict[str, Need] = {}
    for route in routes_of(settings).values():
        parent, _, last = route.path.rpartition("/")
        if last.startswith("{"):
            parents[parent] = route.need
        else:
            exact[route.path] = route.need
    return replace(settings.access.rules, pages=exact, page_parents=parents)
