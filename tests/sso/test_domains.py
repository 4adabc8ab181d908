"""/admin/sso/domains as an administrator uses it: a real gateway, which asks a real DNS server."""

from __future__ import annotations

import html
import itertools
import json
import re
from collections.abc import Iterator

import dns.rcode
import pytest

from tests.support.gateway import Gateway
from tests.support.name_server import NameServer, failing, silent, txt
from tests.support.person import Person
from tests.support.raw import Response
from tests.support.upstream import RecordingUpstream

PAGE = "/admin/sso/domains"
numbers = itertools.count(1)


@pytest.fixture(scope="module")
def server() -> Iterator[NameServer]:
    with NameServer().running() as running:
        yield running


@pytest.fixture(scope="module")
def own(recorder: RecordingUpstream, server: NameServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    changes = {
        "SSO__ON": "true", "SSO__RESOLVER": server.address,
        "SIGNUP__MODE": "domains", "SIGNUP__DOMAINS": '{"beta.example" = "beta"}',
    }  # fmt: skip
    folder = tmp_path_factory.mktemp("domains")
    running = Gateway(folder, f"127.0.0.1:{recorder.port}", changes=changes).seed().start()
    running.write("UPDATE accounts SET role = 'admin' WHERE identifier = 'olga@beta.example'")
    yield running
    assert running.stop() == 0, running.logged()[-3000:]
    assert "Traceback" not in running.logged()


@pytest.fixture(autouse=True)
def no_limits(own: Gateway) -> None:
    own.write("DELETE FROM limits")


@pytest.fixture
def adam(own: Gateway) -> Person:
    person = Person(own, "admin", source=f"127.0.4.{next(numbers)}")
    person.sign_in()
    return person


@pytest.fixture
def domain(adam: Person) -> str:
    """A domain that the tenant has just added."""
    name = f"d{next(numbers)}.example"
    assert adam.send(PAGE, {"do": "added", "domain": name}).get("location") == f"{PAGE}?done=added"
    return name


def text_of(page: Response) -> str:
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.body.decode().replace("<wbr>", ""))))


def record_on(adam: Person, domain: str) -> tuple[str, str]:
    """Return name and value of the record that the page says."""
    page = adam.open(PAGE).body.decode().replace("<wbr>", "")
    section = page[page.index(f"Prove that {domain} is yours") :]
    name, value = re.findall(r'<span id="(?:name|value)-\d+"><code>([^<]+)</code>', section)[:2]
    return name, value


def check(adam: Person, domain: str) -> Response:
    return adam.send(PAGE, {"do": "checked", "domain": domain})


def test_a_domain_is_proved_by_the_record_that_the_page_says(
    own: Gateway, adam: Person, server: NameServer, domain: str
) -> None:
    name, value = record_on(adam, domain)
    server.answers[name] = txt("something older", value)
    done = check(adam, domain)
    assert (done.status, done.get("location")) == (303, f"{PAGE}?done=checked")
    page = text_of(adam.open(f"{PAGE}?done=checked"))
    assert "the domain is yours" in page
    assert f"{domain} – proved" in page
    claim = own.write("SELECT tenant, claimed_by FROM domain_claims WHERE domain = :domain", domain=domain)
    assert claim == [("acme", "adam@acme.example")]
    rows = own.write("SELECT details FROM audit WHERE event = 'domain_claimed' AND tenant = 'acme'")
    assert {"how": "dns"}.items() <= json.loads(rows[-1][0]).items()


SAID = {
    "nothing there": (failing(dns.rcode.NXDOMAIN), "No record was found for"),
    "another value": (txt("12345"), "its value is a different one"),
    "an error": (failing(dns.rcode.SERVFAIL), "answered with an error"),
    "silence": (silent, "didn’t answer in time"),
}


@pytest.mark.parametrize("case", SAID)
def test_what_is_wrong_is_said_and_the_value_stays(adam: Person, server: NameServer, domain: str, case: str) -> None:
    name, value = record_on(adam, domain)
    server.answers[name], said = SAID[case]
    page = check(adam, domain)
    assert page.status == 422
    assert said in text_of(page)
    assert record_on(adam, domain) == (name, value)


def test_a_name_with_the_domain_twice_is_found_and_said(adam: Person, server: NameServer, domain: str) -> None:
    """Many consoles add the domain to what is typed."""
    name, value = record_on(adam, domain)
    server.answers[f"{name}.{domain}"] = txt(value)
    page = check(adam, domain)
    assert page.status == 422
    assert f"its name has “.{domain}” twice" in text_of(page)
    server.answers[name] = txt(value)
    assert check(adam, domain).status == 303


def test_what_was_found_in_its_place_is_shown_and_is_no_markup(adam: Person, server: NameServer, domain: str) -> None:
    server.answers[record_on(adam, domain)[0]] = txt("<script>alert(1)</script>")
    page = check(adam, domain).body.decode()
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page


def test_another_customers_domain_is_refused_and_the_page_says_what_to_do(own: Gateway, adam: Person) -> None:
    own.write(
        "INSERT INTO domain_claims (domain, tenant, claimed_at, claimed_by) VALUES ('held.example', 'beta', 1, 'owner')"
    )
    for domain in ("held.example", "@Held.Example", "sub.held.example", "beta.example"):
        page = adam.send(PAGE, {"do": "added", "domain": domain})
        assert page.status == 422
        assert "If it’s your company’s, contact the operator of this site." in text_of(page)


REFUSED = {
    "gmail.com": "can’t belong to one company",
    "co.uk": "can’t belong to one company",
    "example": "as it stands after the @",
    "https://acme.example": "as it stands after the @",
    "": "as it stands after the @",
}


@pytest.mark.parametrize("domain", REFUSED)
def test_a_domain_that_nobody_can_have_is_refused(adam: Person, domain: str) -> None:
    page = adam.send(PAGE, {"do": "added", "domain": domain})
    assert page.status == 422
    assert REFUSED[domain] in text_of(page)


def test_a_name_in_another_script_is_proved_by_its_ascii_form(adam: Person, server: NameServer) -> None:
    adam.send(PAGE, {"do": "added", "domain": "Straße.Example"})
    name, value = record_on(adam, "xn--strae-oqa.example")
    assert name == "_otiumwork-challenge.xn--strae-oqa.example"
    server.answers[name] = txt(value)
    assert check(adam, "straße.example").get("location") == f"{PAGE}?done=checked"


def test_a_proved_domain_opens_no_sign_up(own: Gateway, adam: Person, server: NameServer, domain: str) -> None:
    """Who may sign up is a matter of the settings alone: see [signup]."""
    name, value = record_on(adam, domain)
    stranger = {"name": "Nora", "password": "seven green kettles on a raft"}
    for proved in (False, True):
        if proved:
            server.answers[name] = txt(value)
            assert check(adam, domain).status == 303
        answer = Person(own).send("/signup", {**stranger, "email": f"nora@{domain}"})
        assert answer.status == 422
        assert "You can’t sign up with this email address" in text_of(answer)
    assert own.write("SELECT 1 FROM mailed_links WHERE identifier = :email", email=f"nora@{domain}") == []


def test_removing_a_domain_asks_first_and_says_what_it_means(
    own: Gateway, adam: Person, server: NameServer, domain: str
) -> None:
    name, value = record_on(adam, domain)
    server.answers[name] = txt(value)
    assert check(adam, domain).status == 303
    asked = adam.send(PAGE, {"do": "removed", "domain": domain})
    assert f"Remove {domain}?" in text_of(asked)
    assert "no longer lead to your identity provider" in text_of(asked)
    query = "SELECT count(*) FROM domain_claims WHERE domain = :domain"
    assert own.write(query, domain=domain) == [(1,)]
    done = adam.send(PAGE, {"do": "removed", "domain": domain, "confirmed": "yes"})
    assert done.get("location") == f"{PAGE}?done=removed"
    assert own.write(query, domain=domain) == [(0,)]
    rows = own.write("SELECT count(*) FROM audit WHERE event = 'domain_released' AND tenant = 'acme'")
    assert rows[0][0] >= 1


def test_a_domain_that_the_operator_added_is_not_for_the_tenant_to_remove(own: Gateway, adam: Person) -> None:
    own.write(
        "INSERT INTO domain_claims (domain, tenant, claimed_at, claimed_by) VALUES ('given.example', 'acme', 1, 'o')"
    )
    assert "given.example – added by the operator" in text_of(adam.open(PAGE))
    for more in ({}, {"confirmed": "yes"}):
        assert adam.send(PAGE, {"do": "removed", "domain": "given.example", **more}).status == 422
    assert own.write("SELECT tenant FROM domain_claims WHERE domain = 'given.example'") == [("acme",)]


def test_another_tenants_administrator_sees_and_changes_nothing(own: Gateway, adam: Person, domain: str) -> None:
    olga = Person(own, "other", source=f"127.0.4.{next(numbers)}")
    olga.sign_in()
    assert domain not in text_of(olga.open(PAGE))
    for what in ("checked", "dropped"):
        assert olga.send(PAGE, {"do": what, "domain": domain}).status == 422
    assert record_on(adam, domain)
    assert adam.send(PAGE, {"do": "dropped", "domain": domain}).get("location") == f"{PAGE}?done=dropped"
    assert domain not in text_of(adam.open(PAGE))


@pytest.mark.parametrize("who", ["employee", "manager"])
def test_the_page_is_for_administrators(own: Gateway, who: str) -> None:
    person = Person(own, who, source=f"127.0.4.{next(numbers)}")
    person.sign_in()
    assert person.open(PAGE).status == 403
    assert person.send(PAGE, {"do": "added", "domain": "x.example"}).status == 403
