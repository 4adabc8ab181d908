"""Three nodes of two workers on one PostgreSQL, behind nginx: every request goes to another node than the one before."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable, Iterator
from itertools import count

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from tests.support import postgres, servers
from tests.support.browser import SHELL, chromium
from tests.support.cluster import Cluster, cluster
from tests.support.gateway import HOST, PEOPLE, fill, free_port
from tests.support.mail import Mailbox
from tests.support.person import Person
from tests.support.raw import get
from tests.support.visitor import Visitor

MakeContext = Callable[[], BrowserContext]
CONNECTIONS = 4  # to each node, so that both workers have some
PEOPLE_NUMBERS = count(10)


@pytest.fixture(scope="module")
def mailbox() -> Iterator[Mailbox]:
    running = Mailbox(free_port()).start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def nodes(
    postgres_server: postgres.Server,
    postgres_copies: postgres.Copies,
    mailbox: Mailbox,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Cluster]:
    folder, port, name = tmp_path_factory.mktemp("nodes"), free_port(), postgres_copies.take()
    url = postgres_server.url_of(name)
    asyncio.run(fill(url))
    app, address = servers.application(folder)
    with cluster(
        folder, url, address, 3, public_url=f"http://localhost:{port}", port=port, mail_port=mailbox.port,
        changes={"HOSTS": f'["{HOST}"]'},
    ) as running:  # fmt: skip
        for node in running.nodes:
            node.origin = f"http://{HOST}"
        yield running
    app.stop()
    postgres_copies.give_back(name)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium(SHELL) as running:
        yield running


@pytest.fixture
def profile(browser: Browser) -> Iterator[MakeContext]:
    made: list[BrowserContext] = []

    def make() -> BrowserContext:
        made.append(browser.new_context())
        return made[-1]

    yield make
    for context in made:
        context.close()


def visitor(nodes: Cluster, mailbox: Mailbox, context: BrowserContext, email: str) -> Visitor:
    return Visitor(nodes.nodes[0], mailbox, context, email)


def test_a_member_sets_totp_up_signs_in_with_phone_and_paper_and_signs_the_others_out(
    nodes: Cluster, mailbox: Mailbox, profile: MakeContext
) -> None:
    first = visitor(nodes, mailbox, profile(), "crowd0@acme.example")
    first.give_password("/me/security/totp")
    first.set_up()
    first.keep_codes()
    phone = first.in_another(profile())
    phone.give_password("/whoami?week=47#friday")
    phone.give_code()
    phone.page.wait_for_url(f"{phone.url}/whoami?week=47#friday")
    phone.is_in()
    paper = first.in_another(profile())
    paper.give_password()
    paper.page.get_by_role("link", name="Can’t use your phone? Use a backup code").click()
    paper.give_backup_code(first.codes[3])
    paper.is_in()
    mailbox.wait_for(first.email, "backup code was used")
    first.press("Sign out all other devices")
    expect(first.page.get_by_role("status")).to_contain_text("signed out all other devices")
    for other in (phone, paper):
        other.open("/whoami")
        other.has_heading("Sign in")


def test_an_owner_signs_in_with_all_three_factors(nodes: Cluster, mailbox: Mailbox, profile: MakeContext) -> None:
    owner = visitor(nodes, mailbox, profile(), PEOPLE["owner"][0])
    owner.give_password()
    owner.page.goto(owner.link(1))
    owner.press("Yes, sign in")
    owner.set_up()
    owner.keep_codes()
    owner.is_in()
    owner.open("/ops")
    machines = owner.page.get_by_role("region", name="Machines")
    for node in nodes.nodes:
        for pid in node.workers():
            row = machines.get_by_role("row").filter(has=owner.page.get_by_role("cell", name=str(pid), exact=True))
            # Beside it, there is another row if the worker was so slow before that it had to join again.
            expect(row.filter(has_text="up to date")).to_have_count(1)


def revoke(nodes: Cluster) -> None:
    """End a session that every worker has in memory, and use it at each as soon as that is confirmed."""
    email = f"crowd{next(PEOPLE_NUMBERS)}@acme.example"
    devices = [Person(nodes.nodes[at], email) for at in range(2)]
    for device in devices:
        device.sign_in()
    victim, keeper = devices
    asked = get("/whoami", victim.cookie_line)
    connections = [node.connect() for node in nodes.nodes for _ in range(CONNECTIONS)]
    try:
        for connection in connections:
            connection.send(asked)
            answer = connection.response()
            assert answer is not None
            assert answer.status == 200
        done = keeper.send("/me/sessions/others", {})
        assert done.get("location") == "/me/sessions?done=others"
        for connection in connections:
            connection.send(asked)
        answers = [connection.response() for connection in connections]
        assert {answer.status for answer in answers if answer is not None} == {401}
    finally:
        for connection in connections:
            connection.sock.close()


def test_who_was_signed_out_is_refused_by_every_worker_at_once(nodes: Cluster) -> None:
    for _ in range(10):
        revoke(nodes)


def test_a_node_that_was_frozen_meanwhile_refuses_too(nodes: Cluster) -> None:
    email = f"crowd{next(PEOPLE_NUMBERS)}@acme.example"
    victim, keeper = Person(nodes.nodes[1], email), Person(nodes.nodes[0], email)
    for device in (victim, keeper):
        device.sign_in()
    asked = get("/whoami", victim.cookie_line)
    connections = [nodes.nodes[1].connect() for _ in range(CONNECTIONS)]
    for connection in connections:
        connection.send(asked)
        answer = connection.response()
        assert answer is not None
        assert answer.status == 200
    nodes.send(1, signal.SIGSTOP)
    try:
        assert keeper.send("/me/sessions/others", {}).get("location") == "/me/sessions?done=others"
        for connection in connections:
            connection.send(asked)
    finally:
        nodes.send(1, signal.SIGCONT)
    answers = [connection.response() for connection in connections]
    assert {answer.status for answer in answers if answer is not None} == {401}
    for connection in connections:
        connection.sock.close()


def test_the_nodes_are_listed(nodes: Cluster) -> None:
    listed = nodes.nodes[2].cli("store", "nodes", "--json")
    assert listed.returncode == 0, listed.stderr
    pids = {pid for node in nodes.nodes for pid in node.workers()}
    for told in (json.loads(listed.stdout), json.loads(nodes.nodes[0].ask_admin("/ready").body)["nodes"]):
        assert pids <= {node["pid"] for node in told}
