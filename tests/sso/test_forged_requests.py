"""An administrator makes the gateway send requests (server-side request forgery): none reaches where only it can reach."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator

import pytest

from tests.sso.journey import GATEWAY, Employee, save, try_out
from tests.support.gateway import Gateway
from tests.support.identity_provider import IdentityProvider, Json, Realm, User
from tests.support.person import Person
from tests.support.upstream import RecordingUpstream

PEOPLE = [User("erin", "erin@acme.example", "Erin")]


class Listener:
    """Whoever connects is counted, on every address of this machine."""

    def __init__(self) -> None:
        self.connections = 0
        self._socket = socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True)
        self.port = int(self._socket.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            connection.close()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()


@pytest.fixture(scope="module")
def strict(recorder: RecordingUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway as it is delivered: providers are in no private network."""
    changes = {"SSO__ON": "true"}
    running = Gateway(tmp_path_factory.mktemp("strict"), f"127.0.0.1:{recorder.port}", changes=changes).seed().start()
    yield running
    assert running.stop() == 0, running.logged()[-3000:]
    assert "Traceback" not in running.logged()


HOSTS = (
    "127.0.0.1", "127.1.2.3", "localhost", "LOCALHOST", "localhost.", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::127.0.0.1]",
    "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[0:0:0:0:0:ffff:127.0.0.1]", "0.0.0.0", "0", "127.1",
    "2130706433", "0x7f000001", "0x7f.1", "017700000001", "127.0.0.1.", "127.0.0.1%2f", "[::1%25lo]", "a@127.0.0.1",
    "a:b@localhost", "127.0.0.1#@id.example", "127.0.0.1\\@id.example", "①②⑦.⓪.⓪.①", "169.254.169.254", "10.0.0.1",
    "172.16.0.1", "192.168.0.1", "100.64.0.1", "198.18.0.1", "224.0.0.1", "255.255.255.255", "[fe80::1]", "[fc00::1]",
    "[fd00:ec2::254]", "[ff02::1]", "168.63.129.16",
)  # fmt: skip


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_no_spelling_of_a_private_address_is_asked(strict: Gateway, listener: Listener, scheme: str) -> None:
    adam = Person(strict, "adam@acme.example")
    adam.give_password("/admin/sso")
    results = {}
    for host in HOSTS:
        strict.write("DELETE FROM limits")
        issuer = f"{scheme}://{host}:{listener.port}/x"
        fields = {"do": "saved", "kind": "generic", "issuer": issuer, "client_id": "x", "client_secret": "y"}
        saved = adam.send("/admin/sso", fields)
        if saved.status == 422:
            assert "issuer" in saved.body.decode()
            results[host] = "refused"
            continue
        tried = adam.send("/admin/sso", {"do": "trial"})
        assert tried.status == 422, host
        page = tried.body.decode()
        results[host] = "private" if "private" in page else page
        assert results[host] == "private", (host, page[-2000:])
    assert listener.connections == 0
    assert len(results) == len(HOSTS)
    if scheme == "http":
        assert set(results.values()) == {"refused"}


ELSEWHERE = (
    "https://169.254.169.254/latest/meta-data/",
    "https://[fd00:ec2::254]/latest",
    "https://[::ffff:169.254.169.254]/",
    "https://100.100.100.200/",
    "http://169.254.169.254/",
    "http://id.example/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:11211/",
    "javascript:alert(1)",
    "//169.254.169.254/",
    "",
)


@pytest.mark.parametrize("name", ["token_endpoint", "jwks_uri", "pushed_authorization_request_endpoint"])
@pytest.mark.parametrize("address", ELSEWHERE)
def test_no_endpoint_of_the_metadata_leads_to_what_must_not_be_asked(
    own: Gateway, identity_provider: IdentityProvider, name: str, address: str
) -> None:
    """Even where private networks may be asked, for a provider in the company's own."""
    realm = with_metadata(identity_provider, {name: address})
    adam = Employee(own, identity_provider, "adam@acme.example")
    adam.give_password("/admin/sso")
    save(adam, realm)
    assert "your provider answered" not in try_out(adam, "erin")
    assert own.write("SELECT tried_at FROM identity_providers") == [(None,)]


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "data:text/html,x", "https://a@b.example/", "http://b.example/"]
)
def test_no_page_leads_people_to_what_is_no_address(
    own: Gateway, identity_provider: IdentityProvider, address: str
) -> None:
    realm = with_metadata(identity_provider, {"authorization_endpoint": address})
    adam = Employee(own, identity_provider, "adam@acme.example")
    adam.give_password("/admin/sso")
    save(adam, realm)
    answer = adam.send("/admin/sso", {"do": "trial"})
    assert answer.status == 422
    assert address not in answer.body.decode()


def with_metadata(provider: IdentityProvider, changes: Json) -> Realm:
    """Return a realm that says other things of itself."""
    realm = provider.realm(users=PEOPLE, clients=[GATEWAY])
    realm.fail("discovery", body=json.dumps({**realm.metadata(), **changes}))
    return realm


def test_redirects_are_followed_nowhere(own: Gateway, identity_provider: IdentityProvider, listener: Listener) -> None:
    before = listener.connections
    for endpoint in ("discovery", "token", "jwks"):
        realm = identity_provider.realm(users=PEOPLE, clients=[GATEWAY])
        realm.fail(endpoint, status=302, headers={"location": f"http://127.0.0.1:{listener.port}/"})
        adam = Employee(own, identity_provider, "adam@acme.example")
        adam.give_password("/admin/sso")
        save(adam, realm)
        assert "your provider answered" not in try_out(adam, "erin")
    assert listener.connections == before
