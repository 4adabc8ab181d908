"""The navigation: which entries each kind of person has, which one is current on each page, and where `/me` leads."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest

from gateway.app.nouns import ROUTES
from gateway.model.account import Role
from gateway.model.session import Session
from gateway.policy.decision import Need
from gateway.settings.proofs import SSOSettings, TokenSettings
from gateway.settings.record import Pages, Settings
from gateway.web.navigation import PERSONAL, Navigation, find_place, list_entries
from gateway.web.rendering import Renderer
from gateway.web.routes import Route
from gateway.web.visit import Visit
from tests.pages.test_pages import visit

OFF = Settings()
ON = Settings(sso=SSOSettings(on=True), tokens=TokenSettings(on=True))
OUTSIDE = {"clear", "form", "me"}  # they belong to signing in, or lead on; no page of theirs has a navigation
PLACED = [route for route in ROUTES if find_place(route, ROUTES) and not route.variable]
OWN = ["Security", "Devices", "Allowed networks", "Language and time"]
MANAGED = ["People", "Access review", "Sign-in requirements", "Allowed networks", "Audit log", "Company language"]
OPERATED = ["Overview", "All people", "Tenants", "Page views", "All audit logs"]
OWN_ON = ["Security", "Devices", "API tokens", "Allowed networks", "Language and time"]
MANAGED_ON = [
    "People", "Access review", "API tokens", "Sign-in requirements", "Allowed networks", "Single sign-on", "Audit log",
    "Company language",
]  # fmt: skip
OPERATED_ON = ["Overview", "All people", "Tenants", "Single sign-on", "Page views", "All audit logs"]


def session(role: Role = Role.EMPLOYEE, *, is_owner: bool = False, tenant: str = "acme") -> Session:
    return Session("s", "a", "erin@acme.example", "Erin", tenant, role, frozenset(), is_owner, (), 0, 0)


EMPLOYEE, MANAGER, ADMIN = (session(role) for role in Role)
OWNER = session(is_owner=True)
BOTH = session(Role.ADMIN, is_owner=True)
EVERYTHING = Navigation(ROUTES, ON)


@pytest.mark.parametrize(
    ("settings", "person", "shown"),
    [
        (OFF, EMPLOYEE, {"ACCOUNT": OWN}),
        (OFF, MANAGER, {"ACCOUNT": OWN}),
        (OFF, ADMIN, {"ACCOUNT": OWN, "ADMINISTRATION": MANAGED}),
        (OFF, OWNER, {"ACCOUNT": OWN, "OPERATIONS": OPERATED}),
        (OFF, BOTH, {"ACCOUNT": OWN, "ADMINISTRATION": MANAGED, "OPERATIONS": OPERATED}),
        (OFF, session(Role.ADMIN, tenant="beta"), {"ACCOUNT": OWN, "ADMINISTRATION": MANAGED}),
        (ON, EMPLOYEE, {"ACCOUNT": OWN_ON}),
        (ON, ADMIN, {"ACCOUNT": OWN_ON, "ADMINISTRATION": MANAGED_ON}),
        (ON, OWNER, {"ACCOUNT": OWN, "OPERATIONS": OPERATED_ON}),
        (ON, BOTH, {"ACCOUNT": OWN, "ADMINISTRATION": MANAGED_ON, "OPERATIONS": OPERATED_ON}),
    ],
)
def test_a_person_has_the_entries_of_pages_that_they_may_open(
    settings: Settings, person: Session, shown: dict[str, list[str]]
) -> None:
    groups = Navigation(ROUTES, settings).around(person, "/me/security").groups
    assert {group.section.name: [link.label for link in group.links] for group in groups} == shown
    assert [group.section.name for group in groups] == list(shown)


def test_every_page_for_people_belongs_to_an_entry_or_is_outside() -> None:
    personal = [route for route in ROUTES if route.need in PERSONAL]
    assert len(personal) > 50
    assert {route.name for route in personal if not find_place(route, ROUTES)} == OUTSIDE
    assert {route.name for route in ROUTES if route.need not in PERSONAL and find_place(route, ROUTES)} == set()


def test_what_a_page_is_below_has_an_entry_and_asks_no_more_than_the_page() -> None:
    entries = {route.name: route for route, _ in list_entries(ROUTES)}
    places = [(route, entries[find_place(route, ROUTES)]) for route in ROUTES if find_place(route, ROUTES)]
    assert len(places) > 50
    assert [route.name for route, place in places if route.need is not place.need] == []


def test_two_entries_never_want_the_same_position() -> None:
    positions = Counter((entry.section, entry.order) for _, entry in list_entries(ROUTES))
    assert len(positions) > 15
    assert max(positions.values()) == 1


@pytest.mark.parametrize("route", PLACED, ids=lambda route: route.name)
def test_one_entry_is_current_on_each_page(route: Route[Any]) -> None:
    groups = EVERYTHING.around(OWNER if route.need is Need.OWNER else ADMIN, route.path).groups
    assert sum(link.is_current for group in groups for link in group.links) == 1


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("/me/security", "Security"),
        ("/me/security/totp", "Security"),
        ("/me/security/compromised", "Security"),
        ("/me/password", "Security"),
        ("/me/email", "Security"),
        ("/me/sessions/views", "Devices"),
        ("/admin/accounts/member", "People"),
        ("/admin/accounts/views", "People"),
        ("/admin/networks/member", "People"),
        ("/admin/networks", "Allowed networks"),
        ("/admin/access/unused", "Access review"),
        ("/admin/tokens/service", "API tokens"),
        ("/admin/sso/provisioning", "Single sign-on"),
    ],
)
def test_the_pages_below_one_are_marked_by_its_entry(path: str, label: str) -> None:
    groups = EVERYTHING.around(ADMIN, path).groups
    assert [group.current.label for group in groups if group.current] == [label]


def test_a_page_of_operations_marks_no_more_than_its_own_entry() -> None:
    for path, label in (
        ("/ops", "Overview"),
        ("/ops/tenants/secure", "Tenants"),
        ("/ops/accounts/member", "All people"),
    ):
        marked = [
            link.label for group in EVERYTHING.around(OWNER, path).groups for link in group.links if link.is_current
        ]
        assert marked == [label]


def test_strangers_and_pages_of_signing_in_have_no_navigation() -> None:
    assert EVERYTHING.around(None, "/me/security").groups == ()
    for path in ("/login", "/login/totp", "/logout", "/me/email/x", "/login/form/x", "/me", "/", ""):
        assert EVERYTHING.around(BOTH, path).groups == (), path


def test_moved_pages_keep_their_places() -> None:
    moved = {"security": "/settings/safety", "security_totp": "/phone", "accounts": "", "me": "/account"}
    navigation = Navigation(ROUTES, Settings(pages=Pages(prefix="/_gateway", paths=moved)))
    account, administration = navigation.around(ADMIN, "/phone").groups
    assert [(link.path, link.is_current) for link in account.links] == [
        ("/settings/safety", True),
        ("/_gateway/me/sessions", False),
        ("/_gateway/me/networks", False),
        ("/_gateway/me/settings", False),
    ]
    assert [link.label for link in administration.links] == MANAGED[1:]


@pytest.mark.parametrize(
    ("off", "first"),
    [([], "/me/security"), (["security"], "/me/sessions"), (["security", "sessions", "networks", "settings"], "")],
)
def test_the_first_page_of_an_account_is_the_first_that_is_served(off: list[str], first: str) -> None:
    navigation = Navigation(ROUTES, Settings(pages=Pages(paths=dict.fromkeys(off, ""))))
    assert navigation.around(BOTH).account == first


def test_a_page_shows_its_navigation_after_the_skip_link_and_names_the_way_back(renderer: Renderer) -> None:
    seen = Visit(visit().inbound._replace(readings=("/me/sessions",)), ADMIN, 0)
    html = str(renderer.page("passwords/no-password.html", seen).text)
    body = html.partition("<body")[2]
    assert re.findall(r'<(?:a|button)[^>]*(?:href="(\S*?)"|(popovertarget))', body)[0][0] == "#main"
    assert re.findall(r'href="(\S+)" aria-current="page">([^<]+)', body) == [("/me/sessions", "Devices")]
    assert "Back to Ötium &amp; &lt;b&gt;Work&lt;/b&gt;</a>" in body
    assert 'action="/logout"' in body
    assert body.count("<nav") == 2
