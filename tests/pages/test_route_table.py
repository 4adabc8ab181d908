"""The table of routes: each has a handler, each name that is asked for is in it, each address is one of its own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from aiohttp import web

from gateway.app.nouns import ROUTES
from gateway.policy.decision import Need
from gateway.scim.answers import tell_failure
from gateway.settings import Settings
from gateway.settings.record import Pages, Signup
from gateway.web.routes import Fresh, Machine, Route, Urls

ROOT = Path(__file__).parent.parent.parent
ASKED = re.compile(r"""\burl(?:\.address|\.serves)?\(["'](\w+)["'](?:, (\w+)=)?""")
OF_PEOPLE = re.compile(r"""\b(?:people_url|self\._at)\(["'](\w+)["']\)""")
BY_NAME = {route.name: route for route in ROUTES}


async def show(pages: object, request: web.Request) -> web.StreamResponse:
    raise web.HTTPNotFound


def test_names_and_paths_are_given_once() -> None:
    assert len(ROUTES) > 50
    assert len(BY_NAME) == len({route.path for route in ROUTES}) == len(ROUTES)


def test_every_name_that_is_asked_for_is_in_the_table() -> None:
    html = [file for folder in ("templates", "gateway/factors") for file in (ROOT / folder).rglob("*.html")]
    files = [*(ROOT / "gateway").rglob("*.py"), *html]
    texts = [file.read_text("utf-8") for file in files]
    asked = [(found[1], found[2] or "") for text in texts for found in ASKED.finditer(text)]
    assert len(asked) > 80
    assert {name for name, _ in asked} <= set(BY_NAME)
    of_people = {found[1] for text in texts for found in OF_PEOPLE.finditer(text)}
    assert len(of_people) > 5
    assert {f"{base}_{page}" for base in ("accounts", "ops_accounts") for page in of_people} <= set(BY_NAME)
    assert {(name, given) for name, given in asked if given} <= {(name, BY_NAME[name].variable) for name in BY_NAME}


def test_a_route_without_a_handler_and_the_reverse_can_not_be_written() -> None:
    with pytest.raises(ValueError, match="needs a handler"):
        Route("x", "/x", Need.SESSION)
    with pytest.raises(ValueError, match="not both"):
        Route("x", "/x", Need.SESSION, get=show, by_dispatcher=True)
    with pytest.raises(ValueError, match="proved nothing"):
        Route("x", "/x", Need.NOBODY, get=show, fresh=Fresh())
    for wrong in ({"get": show}, {"post": show}):
        with pytest.raises(ValueError, match="at once"):
            Route("x", "/x", Need.NOBODY, machine=Machine(show, tell_failure), **wrong)
    with pytest.raises(ValueError, match="at once"):
        Route("x", "/x", Need.SESSION, machine=Machine(show, tell_failure))
    assert [method for method, _ in Route("x", "/x", Need.NOBODY, machine=Machine(show, tell_failure)).handlers()] == [
        "*"
    ]
    assert [route.name for route in ROUTES if route.by_dispatcher] == ["auth"]


def test_an_address_has_its_segment_and_no_other() -> None:
    url = Urls(ROUTES, Settings(public_url="https://app.example.com", pages=Pages(prefix="/x", paths={"login": "/in"})))
    assert url("login") == "/in"
    assert url("reset", token="abc") == "/x/reset-password/abc"
    assert url("static", name="login.js") == "/_gateway/static/login.js"
    assert url.address("reset", token="abc") == "https://app.example.com/x/reset-password/abc"
    with pytest.raises(TypeError, match="reset-password"):
        url("reset")
    with pytest.raises(TypeError):
        url("login", token="abc")
    with pytest.raises(KeyError):
        url("nowhere")


def test_a_page_that_is_not_served_is_where_it_would_be() -> None:
    url = Urls(ROUTES, Settings(signup=Signup(mode="off"), pages=Pages(prefix="/x", paths={"forgot": ""})))
    assert (url("signup"), url.serves("signup")) == ("/x/signup", False)
    assert (url("forgot"), url.serves("forgot")) == ("/x/forgot-password", False)
    assert url.serves("reset")
