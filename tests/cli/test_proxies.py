"""`config nginx`: what nginx has to know of the running settings, and what the shipped files say of the default ones."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from gateway.app.nouns import ROUTES
from gateway.cli.proxies import log_map, pages_location, pages_matcher
from gateway.settings import Settings
from gateway.settings.record import Pages, Signup
from gateway.web.routes import serve
from tests.support.gateway import Gateway

CONFIG = Path(__file__).parent.parent.parent / "config"
MOVED = {"reset": "/new-password/{token}", "invite": "/welcome/{token}", "login": "/sign-in"}


@pytest.mark.parametrize("name", ["nginx.conf", "nginx-auth-request.conf"])
def test_the_shipped_files_hold_what_the_command_prints_for_the_defaults(name: str) -> None:
    text = " ".join((CONFIG / name).read_text().split())
    assert " ".join(log_map(Settings(signup=Signup(mode="open"))).split()) in text
    if "auth-request" in name:
        assert f"location {pages_location(Settings())} {{" in text


def test_the_shipped_caddyfile_holds_what_the_command_prints_for_the_defaults() -> None:
    text = " ".join((CONFIG / "Caddyfile.forward-auth").read_text().split())
    assert " ".join(pages_matcher(Settings()).split()) in text


def test_the_log_shows_no_secret_of_a_page_that_was_moved() -> None:
    text = log_map(Settings(pages=Pages(prefix="/_gateway", paths=MOVED)))
    pattern = re.search(r'"~(\^.*)" "\$otium_page\*"', text)
    assert pattern is not None
    hides = re.compile(pattern[1].replace("(?<", "(?P<"))
    for path in ("/new-password/", "/welcome/", "/_gateway/login/link/", "/_gateway/devices/revoke/"):
        found = hides.match(f"{path}secret?x=1")
        assert found is not None, path
        assert found["otium_page"] == path
    assert hides.match("/reset-password/secret") is None  # the application's, now


def test_the_location_is_every_page_and_what_lies_below_one() -> None:
    settings = Settings(pages=Pages(prefix="/_gateway", paths=MOVED))
    matches = re.compile(pages_location(settings).removeprefix('~ "').removesuffix('"')).search
    routes = serve(ROUTES, settings)
    assert len(routes) > 40
    for name, route in routes.items():
        assert bool(matches(re.sub(r"\{.*\}", "x", route.path))) == (name != "auth"), route.path
    for other in ("/login", "/sign-into", "/welcomed", "/_gateway/auth", "/_gateway/me/x", "/x/sign-in", "/"):
        assert not matches(other), other


def test_the_command_prints_both_parts_for_the_running_settings(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, "127.0.0.1:1")
    gateway.environ["GATEWAY_PAGES__PREFIX"] = "/_gateway"
    assert "path /_gateway/login /_gateway/login/*" in gateway.cli("config", "caddy").stdout
    result = gateway.cli("config", "nginx")
    assert (result.returncode, result.stderr) == (0, "")
    assert "map $request_uri $otium_shown {" in result.stdout
    assert "|_gateway/login/link|" in result.stdout or "(_gateway/login/link|" in result.stdout
    assert 'location ~ "^(?:/\\.well-known/change-password|' in result.stdout


@pytest.mark.parametrize(
    ("name", "pattern"),
    [("traefik-forward-auth.yml", r"PathRegexp\(`(.+)`\)"), ("ingress-nginx.yaml", r"- path: (/\(.+)")],
)
def test_the_samples_lead_every_page_to_the_gateway_and_copy_every_header(name: str, pattern: str) -> None:
    text = (CONFIG / name).read_text()
    found = re.search(pattern, text)
    assert found is not None
    for route, page in serve(ROUTES, Settings()).items():
        assert bool(re.match(found[1], re.sub(r"\{.*\}", "x", page.path))) == (route != "auth"), page.path
    for other in ("/", "/x", "/loginx", "/x/login", "/_gateway/auth", "/admin", "/opsx", "/me/x"):
        assert not re.match(found[1], other), other
    for header in ("Cookie", *Settings().identity.names.values()):
        assert re.search(rf"[ ,]{header}\b", text), header


def test_all_pages_are_listed_with_name_place_and_who_may_open_them(tmp_path: Path) -> None:
    own = Gateway(tmp_path, "127.0.0.1:9", changes={"PAGES__PATHS": '{ login = "/sign-in", forgot = "" }'})
    listed = {page["name"]: page for page in json.loads(own.cli("config", "pages", "--json").stdout)}
    assert list(listed) == [route.name for route in ROUTES]
    assert listed["login"] == {"name": "login", "path": "/sign-in", "for": "open to everyone"}
    assert listed["ops"] == {"name": "ops", "path": "/ops", "for": "the platform owner"}
    assert listed["forgot"]["path"] == listed["signup"]["path"] == "off"
