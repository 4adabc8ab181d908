"""Passkeys at the other hosts of a site: below the RP ID as they are, elsewhere by /.well-known/webauthn."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from gateway.app.nouns import ROUTES
from gateway.factors.passkey.addresses import advise, list_refused, related_hosts
from gateway.settings import Settings
from gateway.settings.record import FactorSettings
from gateway.web.routes import serve
from tests.passkeys.conftest import Person
from tests.support import servers
from tests.support.browser import SHELL, chromium
from tests.support.gateway import Gateway
from tests.support.raw import get
from tests.support.upstream import RecordingUpstream

FILE = "/.well-known/webauthn"
BELOW = ["example.com", "www.example.com"]
RELATED = ["work.otium.example", "otium.co.uk", *(f"{name}.example" for name in ("two", "three", "four", "five"))]
SIXTH = ["six.example", "www.otium.example"]  # the label of the second is the first one's
HOSTS = [*BELOW, *RELATED, *SIXTH]


def settings(*hosts: str, url: str = "https://app.example.com", rp_id: str = "") -> Settings:
    return Settings(public_url=url, hosts=hosts, factors=FactorSettings(rp_id=rp_id))


@pytest.mark.parametrize(
    ("given", "related"),
    [
        (settings(), []),
        (settings("App.Example.com:443", "x.app.example.com"), []),
        (settings("example.com", "www.example.com", "notapp.example.com"), ["example.com", "www.example.com", "notapp.example.com"]),
        (settings("example.com", "www.example.com", "anexample.com", rp_id="example.com"), ["anexample.com"]),
        (settings("B.example.org:443", "a.example.org:8443"), ["b.example.org", "a.example.org:8443"]),
        (settings("192.0.2.7", "[2001:db8::7]", "a.example.org"), ["a.example.org"]),
        (settings("a.example.org", url="http://localhost:8000"), []),
    ],
)  # fmt: skip
def test_the_file_names_hosts_that_are_not_below_the_rp_id(given: Settings, related: list[str]) -> None:
    assert list(related_hosts(given)) == [f"https://{host}" for host in related]
    assert ("related_origins" in serve(ROUTES, given)) is bool(related)


@pytest.mark.parametrize(
    ("names", "refused"),
    [
        (RELATED, []),
        ([*RELATED, *SIXTH], ["six.example"]),
        ([f"a.{n}.co.uk" for n in range(7)], ["a.5.co.uk", "a.6.co.uk"]),
        ([f"{n}.com.au" for n in range(6)], ["5.com.au"]),
        (["a.co", "b.a.example", "co.uk", *(f"{n}.example" for n in range(3))], []),
        (["intranet"], ["intranet"]),
    ],
)
def test_browsers_accept_five_labels(names: list[str], refused: list[str]) -> None:
    assert list_refused(names) == refused


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (settings(), []),
        (settings(*RELATED), []),
        (settings(*HOSTS, rp_id="example.com"), ["hosts: outside example.com browsers accept passkeys under 5 names"]),
        (settings("a.example.org", rp_id="example.com"), ["hosts: before they use passkeys at a.example.org, browsers ask "]),
        (settings("a.example.org", "example.com", rp_id="example.com"), []),
        (settings("a.example.org", url="https://app.example.com:8443"), ["hosts: before they use passkeys at a.exam"]),
        (settings("a.example.org", url="https://app.example.com:443"), []),
        (settings(url="https://192.0.2.7"), ["public_url: browsers have no passkeys for an IP address like 192.0.2.7"]),
    ],
)  # fmt: skip
def test_hosts_at_which_passkeys_do_not_work_are_advised_about(given: Settings, said: list[str]) -> None:
    found = [f"{key}: {reason}" for key, reason in advise(given)]
    assert [whole.startswith(start) for whole, start in zip(found, said, strict=True)] == [True] * len(said)


@pytest.fixture(scope="module")
def own(recorder: RecordingUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    changes = {"FACTORS__RP_ID": "example.com", "HOSTS": json.dumps(HOSTS)}
    folder = tmp_path_factory.mktemp("hosts")
    running = Gateway(folder, f"127.0.0.1:{recorder.port}", changes=changes).seed().start()
    yield running
    assert running.stop() == 0, running.logged()[-3000:]


def test_the_file_is_public_json(own: Gateway) -> None:
    for host in ("example.com", "app.example.com"):
        answer = own.exchange(get(FILE, "Origin: https://otium.co.uk", "Sec-Fetch-Site: cross-site", host=host))
        assert (answer.status, answer.get("content-type")) == (200, "application/json; charset=utf-8")
        assert answer.get("cross-origin-resource-policy") == "cross-origin"
        assert answer.all("set-cookie") == []
        assert json.loads(answer.body) == {"origins": [f"https://{host}" for host in (*RELATED, *SIXTH)]}
    assert own.exchange(get(FILE, method="POST", host="example.com")).status in (403, 405)


def test_check_config_names_the_host_that_browsers_refuse(own: Gateway) -> None:
    advised = [line for line in own.cli("check-config").stdout.splitlines() if line.startswith("advice: hosts: ")]
    assert [line.rpartition(" ")[2] for line in advised] == ["six.example"]


@pytest.fixture
def log(own: Gateway, tmp_path: Path) -> Iterator[tuple[Person, Path]]:
    """Somebody with a passkey that was made at app.example.com, and nginx's log of what the browser asks for."""
    proxy, port = servers.nginx(tmp_path, "nginx.conf", {"server 127.0.0.1:8000;": f"server 127.0.0.1:{own.port};"})
    with chromium(SHELL, port, ("app.example.com", *HOSTS)) as browser:
        who = Person(own, browser.new_context(ignore_https_errors=True), "crowd0@acme.example")
        who.without_autofill()
        who.plug_in()
        who.give_password("/me/security")
        who.add_passkey()
        yield who, tmp_path / "access.log"
    proxy.stop()


def test_chromium_takes_a_passkey_wherever_it_is_said_to(log: tuple[Person, Path]) -> None:
    who, file = log

    def enter(host: str) -> int:
        """Open a page at `host` and use the passkey; return how often the browser asked for the file."""
        before = file.read_text().count(FILE)
        who.page.goto(f"https://{host}/whoami")
        who.press("Use a passkey")
        return before

    for host in ("app.example.com", *HOSTS):
        is_related, is_refused = host in (*RELATED, *SIXTH), host == "six.example"
        who.context.clear_cookies()
        before = enter(host)
        if is_refused:
            expect(who.page.get_by_role("alert")).to_contain_text("Passkeys don’t work at this address")
            who.page.reload()  # nginx has written its log before it answers again
        else:
            who.page.wait_for_url(f"https://{host}/whoami")
        assert file.read_text().count(FILE) - before == is_related, host
