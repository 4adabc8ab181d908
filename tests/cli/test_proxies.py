"""`config nginx` and its siblings: what proxies have to know of the running settings, and what the samples say of the default ones."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.app.nouns import ROUTES
from gateway.cli.proxies import log_map, pages_location, pages_matcher, pages_path, pages_rule
from gateway.settings import Settings
from gateway.settings.record import Pages
from gateway.web.routes import serve
from tests.support.gateway import Gateway

ROOT = Path(__file__).parent.parent.parent
CONFIG = ROOT / "config"
MOVED = {"reset": "/new-password/{token}", "invite": "/welcome/{token}", "login": "/sign-in"}
OTHERS = {
    "": ("/loginx", "/x/login", "/opsx", "/xwell-known/change-password"),
    "/_gateway": ("/login", "/sign-into", "/welcomed", "/x/sign-in", "/_gateway/login"),
}
# As each proxy reads what it is given: ingress-nginx as `location ~* "^PATH"`.
PATTERNS = {
    "nginx": lambda settings: re.compile(pages_location(settings)[len('location ~ "') : -len('"')]).search,
    "traefik": lambda settings: re.compile(pages_rule(settings)[len("PathRegexp(`") : -len("`)")]).search,
    "ingress": lambda settings: re.compile(f"^{pages_path(settings).removeprefix('path: ')}", re.IGNORECASE).search,
}


def test_the_samples_have_the_pages_of_the_default_settings(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "config", tmp_path, dirs_exist_ok=True)
    subprocess.run([sys.executable, ROOT / "bin/samples", tmp_path], check=True, cwd=ROOT)
    stale = [path.name for path in sorted(tmp_path.iterdir()) if path.read_text() != (CONFIG / path.name).read_text()]
    assert stale == [], "run `make samples`: it writes the pages' paths into these files"


def hidden_by(text: str) -> re.Pattern[str]:
    """Return what a log map hides."""
    pattern = re.search(r'"~(\^.*)" "\$otium_page\*"', text)
    assert pattern is not None
    return re.compile(pattern[1].replace("(?<", "(?P<"))


@pytest.mark.parametrize("name", ["nginx.conf", "nginx-auth-request.conf"])
def test_the_shipped_log_shows_no_secret_of_any_page_whatever_is_switched_on(name: str) -> None:
    hides = hidden_by((CONFIG / name).read_text())
    secret = [route.path for route in ROUTES if re.search(r"/\{token\}", route.path)]
    assert len(secret) > 5
    for path in secret:
        found = hides.match(path.replace("{token}", "secret"))
        assert found is not None, path
        assert found["otium_page"] == path.partition("{token}")[0]


def test_the_log_shows_no_secret_of_a_page_that_was_moved() -> None:
    hides = hidden_by(log_map(Settings(pages=Pages(prefix="/_gateway", paths=MOVED))))
    for path in ("/new-password/", "/welcome/", "/_gateway/login/link/", "/_gateway/devices/revoke/"):
        found = hides.match(f"{path}secret?x=1")
        assert found is not None, path
        assert found["otium_page"] == path
    assert hides.match("/reset-password/secret") is None  # the application's, now


@pytest.mark.parametrize("proxy", ["nginx", "traefik", "ingress"])
@pytest.mark.parametrize("pages", [Pages(), Pages(prefix="/_gateway", paths=MOVED), Pages(paths={"me": ""})])
def test_the_pattern_matches_every_page_and_what_lies_below_one(proxy: str, pages: Pages) -> None:
    settings = Settings(pages=pages)
    matches = PATTERNS[proxy](settings)
    routes = serve(ROUTES, settings)
    assert len(routes) > 40
    for name, route in routes.items():
        path = re.sub(r"\{.*\}", "x", route.path)
        assert bool(matches(path)) == (name != "auth"), path
        assert bool(matches(f"{path}/x")) == (name not in ("auth", "me")), path  # below /me is the application
        assert not matches(f"/x{path}"), path
    for other in ("/", "/x", "/admin", "/_gateway/auth", f"{pages.prefix}/me/x", *OTHERS[pages.prefix]):
        assert not matches(other), other


def test_the_commands_print_what_follows_from_the_running_settings(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, "127.0.0.1:1", changes={"PAGES__PATHS": '{ login = "/sign-in", forgot = "" }'})
    gateway.environ["GATEWAY_PAGES__PREFIX"] = "/_gateway"
    printed = {}
    for proxy in ("nginx", "caddy", "traefik", "ingress"):
        result = gateway.cli("config", proxy)
        assert (result.returncode, result.stderr) == (0, "")
        printed[proxy] = result.stdout
    settings = Settings(pages=Pages(prefix="/_gateway", paths={"login": "/sign-in", "forgot": ""}))
    assert log_map(settings) in printed["nginx"]
    assert f"{pages_location(settings)} {{ … }}\n" in printed["nginx"]
    assert printed["caddy"] == f"{pages_matcher(settings)}\n"
    assert printed["traefik"] == f"{pages_rule(settings)}\n"
    assert printed["ingress"] == f"{pages_path(settings)}\n"
    for text in printed.values():
        assert "sign-in" in text
        assert "_gateway/logout" in text
        assert "forgot-password" not in text


@pytest.mark.parametrize("name", ["traefik-forward-auth.yml", "ingress-nginx.yaml"])
def test_the_samples_copy_every_header(name: str) -> None:
    text = (CONFIG / name).read_text()
    for header in ("Cookie", *Settings().identity.names.values()):
        assert re.search(rf"[ ,]{header}\b", text), header


def test_all_pages_are_listed_with_name_place_and_who_may_open_them(tmp_path: Path) -> None:
    own = Gateway(tmp_path, "127.0.0.1:9", changes={"PAGES__PATHS": '{ login = "/sign-in", forgot = "" }'})
    listed = {page["name"]: page for page in json.loads(own.cli("config", "pages", "--json").stdout)}
    assert list(listed) == [route.name for route in ROUTES]
    assert listed["login"] == {"name": "login", "path": "/sign-in", "for": "open to everyone"}
    assert listed["ops"] == {"name": "ops", "path": "/ops", "for": "the platform owner"}
    assert listed["forgot"]["path"] == listed["signup"]["path"] == "off"
