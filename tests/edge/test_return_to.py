"""Where a person goes after signing in: only ever here."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.app.nouns import ROUTES
from gateway.settings.proofs import TokenSettings
from gateway.settings.record import Pages, Settings
from gateway.web.return_to import safe_return
from gateway.web.routes import Route, find_dead_ends

DEFAULT = find_dead_ends(ROUTES, Settings(tokens=TokenSettings(on=True)))
MOVED = find_dead_ends(
    ROUTES,
    Settings(
        pages=Pages(
            paths={
                "login": "/account",
                "logout": "/account/leave",
                "link_opened": "/account/open/{token}",
                "form": "/account/forms/{token}",
                "auth": "/check",
            }
        )
    ),
)
BELOW = find_dead_ends(ROUTES, Settings(pages=Pages(prefix="/_gateway")))
DEAD = (
    "login", "totp", "passkey", "passkey_options", "passkey_first", "passkey_first_options", "backup", "link",
    "link_opened", "clear", "logout", "static", "auth", "password_hint", "sso", "sso_callback", "sso_link", "sso_tenant",
    "sso_logout", "sso_left", "sso_jwks", "token_found",
)  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "/",
        "/a",
        "/a/b?x=1&y=%2Fz",
        "/a#part",
        "/a?next=/b#c",
        "/a%20b",
        "/.well-known/x",
        "/a?x=//evil",
        "/a//b",
        "/proj/group%2Fname/-/tree",
        "/x;jsessionid=1",
        "/x;jsessionid=1/y?z=%C3%A9",
        "/a?" + "q" * 8_000,
        "/caf%C3%A9",
        "/_gateway/me/security",
        "/_gateway/login/form/x",
        '/a?x={"b":[1]}',
    ],
)
def test_a_plain_path_of_this_site_is_kept(text: str) -> None:
    assert safe_return(text, DEFAULT) == text


@pytest.mark.parametrize(
    "text",
    [
        None, "", " ", "a", "?x", "#x", "\\", "/\\evil", "//evil", "///evil", "/%09/evil", "/%0a/evil", "/%0d/evil",
        "/%2f%2fevil", "/%2fevil", "/%5cevil", "\\/evil", "https:evil", "https://app@evil", "https://app.evil",
        "javascript:alert(1)", "data:,x", "/\t/evil", "/\n/evil", "\t//evil", " //evil", "/ /evil", "/./evil", "/.//evil",
        "/..//evil", "/a/..//evil", "/;//evil", "/a\x00", "/é", "/a#b#c", "/" + "a" * 70_000, "/logout", "/login",
        "/login?next=/x", "/logout/", "/_gateway/auth", "/%6cogout", "/logout;x=1", "/login;jsessionid=1?next=/x",
        "/%2Fevil", "/;x//evil", "/;/%2fevil", "/%3b//evil", "/login%2Ftotp", "/logout%2F", "//x/login",
    ],
)  # fmt: skip
def test_everything_doubtful_leads_home(text: str | None) -> None:
    assert safe_return(text, DEFAULT) == "/"


@given(st.text(max_size=40))
def test_no_text_leads_to_another_site(text: str) -> None:
    target = safe_return("/" + text, DEFAULT)
    assert target.startswith("/")
    assert not target.startswith(("//", "/\\"))
    assert target.isprintable()


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_of_our_own_pages_those_of_signing_in_and_out_and_no_others_are_dead_ends(route: Route) -> None:
    path = re.sub(r"\{\w+\}", "x", route.path)
    assert safe_return(path, DEFAULT) == ("/" if route.name in DEAD else path)


@pytest.mark.parametrize(
    "text",
    [
        "/account", "/account/", "/account?next=/x", "/%61ccount", "/account;x=1", "/account/leave", "/account%2Fleave",
        "/account/open/x", "/account/open%2Fx", "/login/totp", "/login/backup/", "/login/link", "/login/clear", "/check",
        "/_gateway/static/gateway.css", "/_gateway/password-hint",
    ],
)  # fmt: skip
def test_a_page_to_sign_in_or_out_is_a_dead_end_where_the_settings_moved_it(text: str) -> None:
    assert safe_return(text, MOVED) == "/"


@pytest.mark.parametrize(
    "text",
    [
        "/login", "/login/", "/login?next=/x", "/login/help", "/login/link/x", "/login/form/x", "/logout", "/_gateway/auth",
        "/account/orders", "/account/open", "/account/forms/x", "/accounts", "/checkout", "/me/security",
    ],
)  # fmt: skip
def test_what_the_application_has_where_a_page_was_or_beside_it_comes_back(text: str) -> None:
    assert safe_return(text, MOVED) == text


@pytest.mark.parametrize(
    "text",
    ["/_gateway/login", "/_gateway/login/totp", "/_gateway/login/link/x", "/_gateway/logout", "/_gateway//login",
     "/_gateway%2Flogout", "/_gateway/auth", "/_gateway/static/gateway.css"],
)  # fmt: skip
def test_a_page_to_sign_in_or_out_below_a_prefix_is_a_dead_end(text: str) -> None:
    assert safe_return(text, BELOW) == "/"


@pytest.mark.parametrize(
    "text",
    ["/login", "/login/totp", "/logout", "/_gateway/me/security", "/_gateway/login/form/x", "/_gateway/ops",
     "/_gateway/authors"],
)  # fmt: skip
def test_everything_else_comes_back_where_the_pages_are_below_a_prefix(text: str) -> None:
    assert safe_return(text, BELOW) == text


def test_an_address_whose_page_is_switched_off_is_the_applications() -> None:
    off = find_dead_ends(ROUTES, Settings(pages=Pages(paths={"auth": "", "form": ""})))
    for path in ("/_gateway/auth", "/login/form/x"):
        assert safe_return(path, off) == path
