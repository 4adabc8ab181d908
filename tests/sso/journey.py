"""People whose company signs them in: a browser that goes to both, the gateway and a real provider."""

from __future__ import annotations

import html
import itertools
import re
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.support.gateway import ORIGIN, Gateway
from tests.support.identity_provider import Client, IdentityProvider, PlainBrowser, Realm
from tests.support.mail import Mailbox, links_in
from tests.support.person import Person
from tests.support.raw import Response

CALLBACK = f"{ORIGIN}/login/sso/callback/"  # and the tenant
GATEWAY = Client("gateway", redirect_uris=(f"{CALLBACK}acme", f"{CALLBACK}beta"))
addresses = itertools.count(1)


class Employee(Person):
    """Somebody with a browser that goes to both, the gateway and the provider."""

    def __init__(self, own: Gateway, provider: IdentityProvider, email: str) -> None:
        third, last = divmod(next(addresses), 250)
        super().__init__(own, email, source=f"127.3.{third}.{last + 1}")
        self.elsewhere = PlainBrowser(provider)

    def leave(self, target: str = "/probe") -> str:
        """Give the email, and return the URL of the provider that the page leads to."""
        page = self.send("/login/sso", {"email": self.email, "next": target})
        return way_on(page)

    def leave_by(self, tenant: str) -> str:
        """Open a tenant's direct link, and return the URL of the provider that it leads to."""
        return way_on(self.open(f"/login/sso/{tenant}"))

    def come_back(self, url: str, subject: str, **how: bool) -> Response:
        """Sign in at the provider as somebody, and bring its answer."""
        answer = self.elsewhere.sign_in(url, subject, **how)
        assert answer.url.startswith(CALLBACK), answer
        return self.open(answer.url.removeprefix(ORIGIN), follow=False)

    def bring(self, query: dict[str, str], tenant: str = "acme") -> Response:
        return self.open(f"/login/sso/callback/{tenant}?{urlencode(query)}", follow=False)

    def confirm(self, mailbox: Mailbox) -> Response:
        """Open the mailed link, and press the button."""
        link = links_in(mailbox.wait_for(self.email, "Confirm your sign-in"))[0]
        path = urlsplit(link).path
        self.open(path)
        return self.send(path, {})


def way_on(page: Response) -> str:
    assert page.status == 200, (page.status, page.get("location"))
    found = re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', page.body.decode())
    assert found, page.body.decode()[-1500:]
    return html.unescape(found[1])


def connect(
    own: Gateway, realm: Realm, admin: str = "adam@acme.example", subject: str = "erin", **more: str
) -> Employee:
    """Connect the provider on the page, as an administrator, try it out as somebody there, and turn it on."""
    adam = Employee(own, realm.provider, admin)
    adam.give_password("/admin/sso")
    save(adam, realm, **more)
    assert "Try it out first" in adam.send("/admin/sso", {"do": "on"}).body.decode()
    assert "your provider answered" in try_out(adam, subject)
    assert adam.send("/admin/sso", {"do": "on"}).get("location") == "/admin/sso?done=on"
    return adam


def save(adam: Employee, realm: Realm, **more: str) -> None:
    fields = {
        "do": "saved", "kind": "generic", "issuer": realm.issuer, "client_id": GATEWAY.client_id,
        "client_secret": GATEWAY.secret, **more,
    }  # fmt: skip
    assert adam.send("/admin/sso", fields).get("location") == "/admin/sso?done=saved"


def try_out(adam: Employee, subject: str, **how: bool) -> str:
    """Return the page with the result of a trial."""
    adam.gateway.write("DELETE FROM limits WHERE key = 'sso-trials:acme'")  # many tests try out in one minute
    answer = adam.send("/admin/sso", {"do": "trial"})
    if answer.status == 422:  # known before anybody leaves
        return answer.body.decode()
    return adam.come_back(way_on(answer), subject, **how).body.decode()


def asked(realm: Realm, way: str) -> dict[str, str]:
    """Return the question that a URL of the provider stands for: itself, or what was pushed last."""
    query = dict(parse_qsl(urlsplit(way).query))
    pushed: dict[str, str] = (
        realm.requests("pushed_authorization_request")[-1]["form"] if "request_uri" in query else {}
    )
    return pushed or query


def linked(person: Employee, mailbox: Mailbox) -> Employee:
    """Sign in for the first time, and confirm by mail."""
    subject = person.email.partition("@")[0]
    assert "Check your email" in person.come_back(person.leave(), subject).body.decode()
    assert not person.is_signed_in
    assert "Account connected" in person.confirm(mailbox).body.decode()
    return person
