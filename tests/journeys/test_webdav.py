"""Real WebDAV and CalDAV: rclone, cadaver and Chromium, through nginx and the gateway, to WsgiDAV and Radicale."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext

from tests.support import relay, servers
from tests.support.gateway import COOKIE, HOST, Gateway, free_port

ACCESS = """
public = [{ path = "/dav", prefix = true, methods = ["OPTIONS"] }]
rules = [
  { path = "/" },
  { path = "/dav/staff", roles = ["admin"] },
  { path = "/dav/box/secret", roles = ["admin"] },
]
"""


@dataclass(frozen=True, slots=True)
class Site:
    """`port` is nginx's; `files` is the folder that WsgiDAV serves as /dav; `cookie` an employee's."""

    port: int
    gateway: Gateway
    files: Path
    cookie: str


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("dav")
    files = folder / "files"
    for path in ("mine", "staff", "box/secret"):
        (files / path).mkdir(parents=True)
    (folder / "calendars").mkdir()
    port = free_port()
    command = [
        sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--threads", "8", "--timeout", "0",
        "--no-control-socket", "--log-level", "warning", "tests.support.dav:create_app()",
    ]  # fmt: skip
    app = servers.Server(folder, "dav", command, port, DAV_FOLDER=str(folder))
    changes = {"HOSTS": '["127.0.0.1"]'}  # what the command-line clients connect to
    gateway = Gateway(folder, f"127.0.0.1:{port}", access=ACCESS, changes=changes).seed().start()
    places = {"server 127.0.0.1:8000;": f"server 127.0.0.1:{gateway.port};"}
    proxy, proxy_port = servers.nginx(folder, "nginx.conf", places)
    yield Site(proxy_port, gateway, files, gateway.sign_in("employee"))
    for server in (proxy, gateway, app):
        server.stop()


@pytest.fixture(autouse=True)
def _clean(site: Site) -> None:
    """Each test finds a file where an employee may go, and one where only an admin may."""
    for path in sorted(site.files.rglob("*"), reverse=True):
        if path.is_file():
            path.unlink()
    (site.files / "mine" / "a.txt").write_text("mine")
    (site.files / "staff" / "pay.txt").write_text("secret")
    (site.files / "box" / "open.txt").write_text("open")
    (site.files / "box" / "secret" / "s.txt").write_text("secret")


def rclone(site: Site, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["rclone", "--config", "/dev/null", "--no-check-certificate", "--retries", "1", "--low-level-retries", "1",
         "--header", site.cookie, "--webdav-url", f"https://127.0.0.1:{site.port}/dav", "--webdav-vendor", "other", *arguments],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def cadaver(port: int, *commands: str) -> str:
    done = subprocess.run(
        ["cadaver", f"http://127.0.0.1:{port}/dav/mine/"], input="\n".join((*commands, "quit", "")),
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


def test_rclone_lists_copies_and_moves(site: Site, tmp_path: Path) -> None:
    new = tmp_path / "new.txt"
    new.write_text("new")
    for arguments in (
        ("mkdir", ":webdav:mine/sub"),
        ("copyto", str(new), ":webdav:mine/sub/new.txt"),
        ("copyto", ":webdav:mine/a.txt", ":webdav:mine/sub/b.txt"),
        ("moveto", ":webdav:mine/sub/new.txt", ":webdav:mine/moved.txt"),
    ):
        done = rclone(site, *arguments)
        assert done.returncode == 0, done.stderr
    listed = rclone(site, "lsf", "-R", ":webdav:mine")
    assert listed.stdout.split() == ["a.txt", "moved.txt", "sub/", "sub/b.txt"]
    assert (site.files / "mine" / "moved.txt").read_text() == "new"
    assert rclone(site, "purge", ":webdav:mine/sub").returncode == 0
    assert not (site.files / "mine" / "sub").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("lsf", ":webdav:staff"),
        ("copyto", ":webdav:mine/a.txt", ":webdav:staff/a.txt"),
        ("moveto", ":webdav:mine/a.txt", ":webdav:staff/pay.txt"),
        ("copyto", ":webdav:staff/pay.txt", ":webdav:mine/pay.txt"),
        ("moveto", ":webdav:box", ":webdav:mine/box"),
        ("purge", ":webdav:box"),
        ("deletefile", ":webdav:staff/pay.txt"),
    ],
    ids=" ".join,
)
def test_rclone_does_nothing_that_a_rule_forbids(site: Site, arguments: tuple[str, ...]) -> None:
    before = {str(path): path.read_text() for path in site.files.rglob("*.txt")}
    done = rclone(site, *arguments)
    assert done.returncode != 0
    assert "403" in done.stderr
    after = {str(path): path.read_text() for path in site.files.rglob("*.txt")}
    forbidden = {path: text for path, text in before.items() if "/staff/" in path or "/secret/" in path}
    assert len(forbidden) == 2
    assert forbidden.items() <= after.items()
    assert after.keys() <= before.keys()


def test_cadaver_copies_moves_locks_and_lists(site: Site) -> None:
    with relay.adding(site.port, site.cookie) as port:
        said = cadaver(
            port,
            "ls",
            "copy a.txt b.txt",
            "lock b.txt",
            "move a.txt c.txt",
            "unlock b.txt",
            "mkcol sub",
            "ls",
            "rmcol sub",
        )
    assert "failed" not in said, said
    assert said.count("succeeded") == 8, said
    names = {path.name for path in (site.files / "mine").iterdir()}
    assert {"b.txt", "c.txt"} <= names
    assert "a.txt" not in names


def test_cadaver_gets_past_no_rule(site: Site) -> None:
    with relay.adding(site.port, site.cookie) as port:
        said = cadaver(
            port,
            "copy a.txt ../staff/a.txt",
            "move a.txt ../staff/pay.txt",
            "copy ../staff/pay.txt p.txt",
            "lock ../box",
        )
    assert "succeeded" not in said, said
    assert said.count("403 Forbidden") >= 3, said
    assert (site.files / "staff" / "pay.txt").read_text() == "secret"
    assert not (site.files / "mine" / "p.txt").exists()


def test_radicales_own_page_makes_a_calendar(site: Site, context: BrowserContext) -> None:
    """It begins with a PROPFIND of `/` without Depth: who may not pass a rule below is refused that."""
    name, _, value = site.gateway.sign_in("admin").removeprefix("Cookie: ").partition("=")
    assert name == COOKIE
    context.add_cookies([{"name": name, "value": value, "url": f"https://{HOST}", "secure": True}])
    page = context.new_page()
    page.goto(f"https://{HOST}/.web/")
    page.locator("#loginscene [data-name=user]").fill("erin")
    page.locator("#loginscene [data-name=password]").fill("anything")  # Radicale goes by who the gateway says it is
    page.locator("#loginscene").get_by_role("button", name="Next").click()
    page.locator("#collectionsscene [data-name=new]").click()
    scene = page.locator("#createcollectionscene")
    scene.locator("[data-name=displayname]").fill("Team")
    scene.locator("[data-name=submit]").click()
    page.get_by_role("heading", name="Team").wait_for()
    props = list((site.files.parent / "calendars").rglob(".Radicale.props"))
    assert any("Team" in path.read_text() for path in props)
