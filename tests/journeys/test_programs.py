"""Programs that can't sign in, with an API token: rclone, cadaver, vdirsyncer, git, curl and Python's requests, through
nginx and the gateway to WsgiDAV, Radicale and Git.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from tests.support import relay, servers
from tests.support.gateway import Gateway, free_port
from tests.support.person import Person

ERIN = "erin@acme.example"
ACCESS = """
rules = [
  { path = "/" },
  { path = "/dav/staff", roles = ["admin"] },
]
"""
EVENT = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//tests//EN
BEGIN:VEVENT
UID:meeting-1
DTSTAMP:20261129T090000Z
DTSTART:20261130T090000Z
DTEND:20261130T100000Z
SUMMARY:Meeting
END:VEVENT
END:VCALENDAR
"""


@dataclass(frozen=True, slots=True)
class Site:
    """`port` is nginx's, `folder` where the servers keep what they are given; `token` is an employee's."""

    port: int
    gateway: Gateway
    folder: Path
    token: str

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("programs")
    for path in ("files/mine", "files/staff", "calendars", "repositories"):
        (folder / path).mkdir(parents=True)
    (folder / "files/mine/a.txt").write_text("mine")
    subprocess.run(["git", "init", "-q", "--bare", str(folder / "repositories/work.git")], check=True)
    port = free_port()
    command = [
        sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--threads", "8", "--timeout", "0",
        "--no-control-socket", "--log-level", "warning", "tests.support.dav:create_app()",
    ]  # fmt: skip
    app = servers.Server(folder, "dav", command, port, DAV_FOLDER=str(folder))
    changes = {"HOSTS": '["127.0.0.1"]', "TOKENS__ON": "true"}
    gateway = Gateway(folder, f"127.0.0.1:{port}", access=ACCESS, changes=changes).seed().start()
    person = Person(gateway, ERIN)
    person.give_password("/me/tokens")
    page = person.send("/me/tokens", {"name": "Programs", "access": "all", "days": "30"}).body.decode()
    found = re.search(r"otw_pat_[0-9A-Za-z]{38}", page)
    assert found
    places = {"server 127.0.0.1:8000;": f"server 127.0.0.1:{gateway.port};"}
    proxy, proxy_port = servers.nginx(folder, "nginx.conf", places)
    yield Site(proxy_port, gateway, folder, found[0])
    for server in (proxy, gateway, app):
        server.stop()


def run(*command: str, home: Path, text: str = "") -> subprocess.CompletedProcess[str]:
    environ = {
        "PATH": os.environ["PATH"], "HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0",
        "GIT_SSL_NO_VERIFY": "1",
    }  # fmt: skip
    return subprocess.run(
        command, input=text, capture_output=True, text=True, errors="replace", timeout=300, check=False, env=environ
    )


def test_rclone_copies_to_and_fro(site: Site, tmp_path: Path) -> None:
    secret = run("rclone", "obscure", site.token, home=tmp_path).stdout.strip()
    options = (
        "--config", "/dev/null", "--no-check-certificate", "--retries", "1", "--webdav-url", f"{site.url}/dav",
        "--webdav-vendor", "other", "--webdav-user", ERIN, "--webdav-pass", secret,
    )  # fmt: skip
    (tmp_path / "new.txt").write_text("new")
    for arguments in (
        ("copyto", str(tmp_path / "new.txt"), ":webdav:mine/new.txt"),
        ("moveto", ":webdav:mine/new.txt", ":webdav:mine/moved.txt"),
        ("copyto", ":webdav:mine/moved.txt", str(tmp_path / "back.txt")),
    ):
        done = run("rclone", *options, *arguments, home=tmp_path)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "back.txt").read_text() == "new"
    assert "403" in run("rclone", *options, "lsf", ":webdav:staff", home=tmp_path).stderr


def test_cadaver_signs_in_when_it_is_asked_to(site: Site, tmp_path: Path) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text(f"machine 127.0.0.1\nlogin {ERIN}\npassword {site.token}\n")
    netrc.chmod(0o600)
    with relay.adding(site.port) as port:
        done = run(
            "cadaver",
            f"http://127.0.0.1:{port}/dav/mine/",
            home=tmp_path,
            text="ls\nmkcol sub\ncopy a.txt b.txt\nquit\n",
        )
    said = done.stdout + done.stderr
    assert "failed" not in said, said
    assert said.count("succeeded") == 3, said
    assert (site.folder / "files/mine/b.txt").read_text() == "mine"


def test_vdirsyncer_keeps_a_calendar_in_step(site: Site, tmp_path: Path) -> None:
    (tmp_path / "local/team").mkdir(parents=True)
    (tmp_path / "local/team/meeting-1.ics").write_text(EVENT)
    with relay.adding(site.port) as port:
        config = tmp_path / "config"
        config.write_text(
            f'[general]\nstatus_path = "{tmp_path}/status"\n'
            '[pair calendars]\na = "local"\nb = "remote"\ncollections = ["team"]\n'
            f'[storage local]\ntype = "filesystem"\npath = "{tmp_path}/local"\nfileext = ".ics"\n'
            f'[storage remote]\ntype = "caldav"\nurl = "http://127.0.0.1:{port}/"\n'
            f'username = "{ERIN}"\npassword = "{site.token}"\n'
        )
        for step in ("discover", "sync"):
            done = run("vdirsyncer", "-c", str(config), step, home=tmp_path, text="y\ny\n")
            assert done.returncode == 0, done.stdout + done.stderr
    stored = [path for path in (site.folder / "calendars").rglob("*.ics") if ".Radicale.cache" not in path.parts]
    assert ["SUMMARY:Meeting" in path.read_text() for path in stored] == [True]


def test_git_clones_and_pushes(site: Site, tmp_path: Path) -> None:
    address = site.url.replace("https://", f"https://erin%40acme.example:{site.token}@") + "/git/work.git"
    work = tmp_path / "work"
    identity = ("-c", "user.name=Erin", "-c", f"user.email={ERIN}")
    for command in (
        ("git", "clone", "-q", address, str(work)),
        ("git", "-C", str(work), *identity, "commit", "-q", "--allow-empty", "-m", "First"),
        ("git", "-C", str(work), "push", "-q", "origin", "HEAD:main"),
        ("git", "clone", "-q", "--branch", "main", address, str(tmp_path / "again")),
    ):
        done = run(*command, home=tmp_path)
        assert done.returncode == 0, done.stderr
    assert "First" in run("git", "-C", str(tmp_path / "again"), "log", "--format=%s", home=tmp_path).stdout


def test_git_without_a_good_token_is_refused(site: Site, tmp_path: Path) -> None:
    address = site.url.replace("https://", f"https://erin%40acme.example:{site.token[:-1]}_@") + "/git/work.git"
    done = run("git", "clone", "-q", address, str(tmp_path / "work"), home=tmp_path)
    assert done.returncode != 0
    assert "Authentication failed" in done.stderr, done.stderr


def test_curl_and_requests_send_it_as_bearer(site: Site, tmp_path: Path) -> None:
    header = f"Authorization: Bearer {site.token}"
    done = run("curl", "-sk", "-H", header, f"{site.url}/dav/mine/a.txt", home=tmp_path)
    assert done.stdout == "mine"
    with relay.adding(site.port) as port:
        url = f"http://127.0.0.1:{port}/dav/mine/a.txt"
        asked = requests.get(url, headers={"Authorization": f"Bearer {site.token}"}, timeout=120)
        assert asked.text == "mine"
        assert requests.get(url, auth=(ERIN, site.token), timeout=120).text == "mine"
        assert requests.get(url, auth=(ERIN, "a password"), timeout=120).status_code == 401


def test_a_service_accounts_program_works_as_the_manual_says_until_curl_revokes_its_token(
    site: Site, tmp_path: Path
) -> None:
    service = site.gateway.cli("token", "service", "add", "Nightly copy", "--tenant", "acme").stdout.strip()
    token = site.gateway.cli("token", "create", service, "--name", "Copy", "--read-only").stdout.strip()
    (tmp_path / "header").write_text(f"Authorization: Bearer {token}\n")
    address = f"{site.url}/dav/mine/a.txt"
    ways = [("-H", f"@{tmp_path}/header"), ("-u", f"{service}:{token}"), ("-u", f":{token}")]
    assert [run("curl", "-sk", *way, address, home=tmp_path).stdout for way in ways] == ["mine"] * 3
    refused = run(
        "curl", "-sk", *ways[0], "-X", "DELETE", "-o", "/dev/null", "-w", "%{http_code}", address, home=tmp_path
    )
    assert refused.stdout == "403"
    revoke = run("curl", "-skf", "-d", f"token={token}", f"{site.url}/_gateway/tokens/revoke", home=tmp_path)
    assert revoke.returncode == 0
    assert "token_refused" in run("curl", "-sk", *ways[0], address, home=tmp_path).stdout


def test_git_asks_its_helper_for_name_and_token(site: Site, tmp_path: Path) -> None:
    helper = f"!f() {{ echo username={ERIN}; echo password={site.token}; }}; f"
    done = run(
        "git", "-c", f"credential.{site.url}.helper={helper}", "clone", "-q", f"{site.url}/git/work.git",
        str(tmp_path / "new"), home=tmp_path,
    )  # fmt: skip
    assert (done.returncode, (tmp_path / "new/.git").is_dir()) == (0, True), done.stderr
