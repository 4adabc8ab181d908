"""Every page of the gateway, light and dark, wide and narrow: axe-core finds nothing, nothing has to be scrolled sideways.

A page is one line in PAGES: what it is, who looks at it, where it is, and what they press there to get to it, if anything.
"""

from __future__ import annotations

import json
import os
import re
import time
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from gateway.app.nouns import ROUTES
from gateway.languages.catalogue import Language
from gateway.model.clock import DAY
from gateway.model.secret import Secret
from gateway.sessions.rows import read_proofs, write_proofs
from gateway.web.carried_form import CarriedForm
from gateway.web.navigation import find_place, list_entries
from tests.journeys.conftest import OWNERS, Site
from tests.support.browser import SHELL, chromium
from tests.support.gateway import PEOPLE, SECRET
from tests.support.mail import links_in
from tests.support.owner import enrol_owner, mailed_link
from tests.support.person import Person, code_of
from tests.threats.test_kept_forms import press, sign_in_again, sign_in_and_idle
from tests.threats.test_people import upload

ROWS = (
    b"email,name,department,role\np1@acme.example,P,Sales,employee\nbroken,B,,employee\nerin@acme.example,E,,manager\n"
    b"p2@acme.example,P,Human R,amdin\np3@acme.example,,H R,employee\np4@acme.example,P,,admin\np5@else.example,P,,employee\n"
)
# In this language, every text is longer and marked, so that it shows what overflows and what can't be translated.
PSEUDO = "en-XA"
LANGUAGE = os.environ.get("PAGE_LANGUAGE", PSEUDO)
WIDE, MIDDLE, NARROW = 1280, 768, 320
HEIGHT = 800
View = tuple[Literal["light", "dark"], int]  # the scheme of colours, and the width in pixels
FIRST: View = ("dark", NARROW)  # how a tab is shown when it is opened
SCREENSHOTS = os.environ.get("SCREENSHOTS", "")  # a folder for pictures of all pages, for somebody who looks at them


@dataclass(frozen=True, slots=True)
class Look:
    """`at` may name a link of the cast, in braces. `fill` and `press` are what is done there, by the labels."""

    who: str
    at: str
    fill: dict[str, str] = field(default_factory=dict)
    press: str = ""


VIEWED = int(time.time()) // DAY * DAY - DAY  # when the recorded pages were: they are kept for a month
SEVEN_DIGITS = "1234567"  # for a code that is wrong: one of six may be right by chance
PAGES = {
    "sign in": Look("nobody", "/login?next=/x"),
    "sign in, signed out": Look("nobody", "/login?signed-out=1"),
    "sign in, form lost": Look("nobody", "/login?next=/x&not-kept=1"),
    "sign in, wrong": Look("nobody", "/login", {"Email": "x@y.example", "Password": "wrong"}, "Sign in"),
    "sign in, again": Look("member", "/login?next=/x&again=1"),
    "signed in": Look("member", "/login"),
    "signed in, form lost": Look("member", "/login?not-kept=other-site"),
    "sign in, form of another site lost": Look("nobody", "/login?not-kept=other-site"),
    "sign out": Look("member", "/logout"),
    "code": Look("between", "/login/totp?next=/x"),
    "code, clock": Look("drifting", "/login/totp?next=/x"),
    "code, wrong": Look(
        "between", "/login/totp?next=/x", {"6-digit code from your authenticator app": SEVEN_DIGITS}, "Continue"
    ),
    "code, again": Look("phone", "/login/totp?next=/x&again=1"),
    "passkey": Look("touching", "/login/passkey?next=/x"),
    "passkey, of another address": Look("moved", "/login/passkey?next=/x"),
    "passkey, added while signing in": Look("led", "/login/passkey?next=/x"),
    "passkey, unknown": Look("nobody", "/login/passkey"),
    "backup code": Look("between", "/login/backup?next=/x"),
    "backup code, wrong": Look("between", "/login/backup", {"Backup code": "AAAAA-AAAAA"}, "Continue"),
    "set-up, first": Look("first", "/login/totp?next=/x"),
    "link, ask": Look("late", "/login/link?next=/x"),
    "link, waiting": Look("waiting", "/login/link?next=/x"),
    "link, again": Look("waiting", "/login/link?next=/x&mail=again"),
    "link, many": Look("waiting", "/login/link?next=/x&mail=many"),
    "link, wrong code": Look(
        "waiting",
        "/login/link",
        {"Opened it on another device? Enter the code shown there": "AAAA-AAAA"},
        "Continue with code",
    ),
    "link opened": Look("waiting", "{good}"),
    "link opened elsewhere": Look("nobody", "{good}"),
    "link opened, expired": Look("late", "{expired}"),
    "link opened, superseded": Look("waiting", "{superseded}"),
    "link opened, used": Look("nobody", "{used}"),
    "link opened, over": Look("nobody", "{over}"),
    "link opened, unknown": Look("nobody", "/login/link/unknown"),
    "form kept": Look("form", "{form}"),
    "form of another site": Look("member", "{form of another site}"),
    "form gone": Look("member", "/login/form/none"),
    "security": Look("member", "/me/security"),
    "security, owner": Look("owner", "/me/security"),
    "security, few codes": Look("phone", "/me/security"),
    "security, enabled": Look("phone", "/me/security?done=enabled&next=/whoami"),
    "security, disabled": Look("member", "/me/security?done=disabled"),
    "security, regenerated": Look("phone", "/me/security?done=regenerated"),
    "security, passkey": Look("key", "/me/security?done=passkey-added&next=/whoami"),
    "security, passkey of another address": Look("former", "/me/security"),
    "passkey, add": Look("member", "/me/security/passkeys"),
    "passkey, required": Look("member", "/me/security/passkeys?next=/whoami"),
    "single sign-on, settings": Look("admin", "/admin/sso"),
    "single sign-on, signing key": Look("admin", "/admin/sso/key"),
    "single sign-on, signing key, made": Look("admin", "/admin/sso/key", press="Make a new key"),
    "domains": Look("admin", "/admin/sso/domains"),
    "domains, refused": Look("admin", "/admin/sso/domains", {"Add a domain": "gmail.com"}, "Add domain"),
    "domains, remove?": Look("admin", "/admin/sso/domains", press="Remove proved.example"),
    "single sign-on, roles": Look("admin", "/admin/sso/roles"),
    "single sign-on, roles, refused": Look("admin", "/admin/sso/roles", {"Value of row 2": "\u202e"}, "Save"),
    "single sign-on, roles, give up?": Look("admin", "/admin/sso/roles", {"Value of row 2": "Leads"}, "Save"),
    "single sign-on, disconnect?": Look("admin", "/me/security/sso"),
    "sign in, again, without a password": Look("companys", "/login?next=/x&again=1"),
    "security, without a password": Look("companys", "/me/security"),
    "password, without one": Look("companys", "/me/password"),
    "person without a password": Look("admin", "{companys}"),
    "tokens": Look("member", "/me/tokens"),
    "tokens, wrong": Look("member", "/me/tokens", {"Name": " "}, "Create token"),
    "token, created": Look("member", "/me/tokens", {"Name": "My calendar"}, "Create token"),
    "tokens of all": Look("admin", "/admin/tokens"),
    "access review": Look("admin", "/admin/access"),
    "access review, recorded": Look("admin", "/admin/access", press="Record a review now"),
    "access review, nobody": Look("admin", "/admin/access?role=manager&tokens=some"),
    "access review, next": Look("admin", "/admin/access?sort=seen&after=1-x"),
    "unused accounts": Look("admin", "/admin/access/unused"),
    "unused accounts, none": Look("admin", "/admin/access/unused?days=365"),
    "unused accounts, none selected": Look("admin", "/admin/access/unused", press="Disable selected"),
    "unused accounts, disable?": Look("admin", "/admin/access/unused", press="Disable all 2 accounts"),
    "unused accounts, disabled": Look("admin", "{unused left}"),
    "service account, wrong": Look("admin", "/admin/tokens", {"Name": " "}, "Create service account"),
    "service account": Look("admin", "{service}"),
    "service account, token": Look("admin", "{service}", {"Name": "Night job"}, "Create token"),
    "service account, disable?": Look("admin", "{service}", press="Disable"),
    "service account, remove?": Look("admin", "{service}", press="Remove"),
    "service account among people": Look("admin", "{service of people}"),
    "single sign-on, required": Look("admin", "/admin/sso/required"),
    "single sign-on, required, not on": Look("admin", "/admin/sso/required", press="Require single sign-on"),
    "single sign-on of all": Look("owner", "/ops/sso"),
    "single sign-on of all, off?": Look("owner", "/ops/sso", press="Turn off single sign-on of beta"),
    "single sign-on of all, take?": Look("owner", "/ops/sso", press="Take away proved.example"),
    "single sign-on of all, refused": Look("owner", "/ops/sso", {"Domain": "example"}, "Grant domain"),
    "provisioning": Look("admin", "/admin/sso/provisioning"),
    "provisioning, token": Look("admin", "/admin/sso/provisioning", press="Create token"),
    "single sign-on": Look("nobody", "/login/sso?next=/x"),
    "single sign-on, of no company": Look("nobody", "/login/sso", {"Work email": "x@nowhere.example"}, "Continue"),
    "single sign-on, with this company?": Look("member", "/login/sso/beta"),
    "single sign-on, late": Look("nobody", "/login/sso/callback/acme?state=x&code=y"),
    "single sign-on, link gone": Look("nobody", "/login/sso/link/x"),
    "another network": Look("away", "/x"),
    "networks": Look("member", "/me/networks"),
    "language and time": Look("member", "/me/settings"),
    "language and time, saved": Look("member", "/me/settings", press="Save"),
    "language of the tenant": Look("admin", "/admin/settings"),
    "networks, wrong": Look("member", "/me/networks", {"Your list": "office"}, "Save"),
    "networks, own address left out": Look("member", "/me/networks", {"Your list": "198.51.100.7 Hotel"}, "Save"),
    "networks of all": Look("admin", "/admin/networks"),
    "networks of all, asked": Look("admin", "/admin/networks", {"Everyone": "127.0.0.0/8 Office"}, "Continue"),
    "networks of all, own address left out": Look("admin", "/admin/networks", {"Admin": "198.51.100.7"}, "Continue"),
    "networks of a person": Look("admin", "{networks}"),
    "sign-in requirements": Look("admin", "/admin/security"),
    "sign-in requirements, asked": Look("admin", "/admin/security", press="Continue"),
    "passkeys only": Look("key", "/me/security/passkeys-only"),
    "passkey, change": Look("key", "/me/security/passkey?id=psk_0"),
    "set-up": Look("member", "/me/security/totp"),
    "set-up, wrong": Look(
        "member", "/me/security/totp", {"Enter the 6-digit code from the app": SEVEN_DIGITS}, "Turn on"
    ),
    "new codes": Look("phone", "/me/security/codes"),
    "new codes, shown": Look("owner", "/me/security/codes", {}, "Create new codes"),
    "turn off": Look("phone", "/me/security/off"),
    "turn off, owner": Look("owner", "/me/security/off"),
    "devices": Look("member", "/me/sessions"),
    "devices, revoked": Look("member", "/me/sessions?done=revoked"),
    "device link": Look("nobody", "{device}"),
    "device link, bad": Look("nobody", "/devices/revoke/none"),
    "device link, done": Look("nobody", "{device}", {}, "Sign out device"),
    "forgotten": Look("nobody", "/forgot-password"),
    "forgotten, sent": Look("nobody", "/forgot-password?sent=1"),
    "reset, unknown": Look("nobody", "/reset-password/none"),
    "password set": Look("nobody", "/login?password-set=1"),
    "sign up": Look("nobody", "/signup"),
    "sign up, refused": Look(
        "nobody",
        "/signup",
        {"Full name": "X", "Work email": "x@elsewhere.example", "New password": "seven green kettles on a raft"},
        "Sign up",
    ),
    "sign up, sent": Look("nobody", "/signup?sent=1"),
    "sign up, confirm": Look("nobody", "{signup}"),
    "sign up, unknown": Look("nobody", "/signup/none"),
    "new email, unknown": Look("nobody", "/me/email/none"),
    "email": Look("member", "/me/email"),
    "email, sent": Look("member", "/me/email?done=sent"),
    "email, refused": Look(
        "member", "/me/email", {"New email address": PEOPLE["employee"][0]}, "Send confirmation link"
    ),
    "email, confirm": Look("nobody", "{new email}"),
    "email, confirm as oneself": Look("phone", "{new email of phone}"),
    "email, confirm by signing in": Look("nobody", "{new email of phone}"),
    "email, wrong": Look("nobody", "{new email}", {"Password of this account": "wrong"}, "Confirm"),
    "email, old": Look("nobody", "{old email}"),
    "email, approved": Look("nobody", "{old email of phone}", {}, "Approve"),
    "email, undo": Look("nobody", "{undo email}"),
    "person, email waits": Look("admin", "{person with a change}"),
    "invitation": Look("nobody", "{invitation}"),
    "invitation, weak": Look("nobody", "{invitation}", {"New password": "passwordpassword"}, "Set password"),
    "password": Look("member", "/me/password"),
    "password, everything ended": Look("member", "/me/password?secured=1"),
    "someone else": Look("key", "/me/security/compromised"),
    "someone else, proved": Look("member", "/me/security/compromised?done=proved"),
    "someone else, without a password": Look("companys", "/me/security/compromised?done=secured"),
    "someone else, of a person?": Look("admin", "{secure}"),
    "someone else, of a person without a password?": Look("admin", "{secure companys}"),
    "someone else, of a person, done": Look("admin", "{person}&done=secured"),
    "someone else, of a tenant?": Look("owner", "/ops/tenants/secure?tenant=beta"),
    "someone else, of a tenant, done": Look("owner", "/ops/tenants?done=secured"),
    "password, wrong": Look(
        "member",
        "/me/password",
        {"Current password": "not this one", "New password": "seven green kettles on a raft"},
        "Change password",
    ),
    "audit": Look("admin", "/admin/audit"),
    "audit, failed sign-ins": Look("admin", "/admin/audit?day=any&event=failed-sign-ins&address=127.0.0.1"),
    "audit, nothing": Look("admin", "/admin/audit?day=yesterday&event=downloads"),
    "audit, misunderstood": Look("admin", "/admin/audit?day=someday"),
    "audit of all": Look("owner", "/ops/audit"),
    "people": Look("admin", "/admin/accounts"),
    "people, nobody": Look("admin", "/admin/accounts?q=nobody-like-that"),
    "people, invited": Look("admin", "/admin/accounts?state=invited&done=resent-all&count=2"),
    "people, resend?": Look("admin", "/admin/accounts?state=invited", press="Resend expired invitations"),
    "people, next": Look("admin", "/admin/accounts?after=crowd20@acme.example"),
    "person": Look("admin", "{person}"),
    "person, reset": Look("admin", "{person}&done=reset"),
    "person, invited": Look("admin", "{invited}"),
    "person, invitation expired": Look("admin", "{uninvited}"),
    "person, owner": Look("admin", "{protected}"),
    "person, myself": Look("admin", "{myself}"),
    "person, taken": Look("admin", "{person}", {"Email": "mara@acme.example"}, "Save"),
    "person, saved": Look("admin", "{person}&done=saved&changed=name,rights,email"),
    "person, not saved yet": Look("admin", "{typed}"),
    "person, with a change of email": Look("admin", "{person with a change}"),
    "person, locked out": Look("admin", "{locked}"),
    "person, disabled": Look("admin", "{disabled}"),
    "person, from some networks": Look("admin", "{away}"),
    "person, with tokens": Look("admin", "{member}"),
    "person, sign a device out?": Look("admin", "{member}", press="Sign out this device"),
    "person, revoke all tokens?": Look("admin", "{member}", press="Revoke all tokens"),
    "invite": Look("admin", "/admin/accounts/invite"),
    "invite, taken": Look(
        "admin", "/admin/accounts/invite", {"Name": "E", "Email": "erin@acme.example"}, "Send invitation"
    ),
    "invite many": Look("admin", "/admin/accounts/import"),
    "invite many, preview": Look("admin", "{preview}"),
    "invite many, under way": Look("admin", "{preview}", {}, "Invite 3 people"),
    "people of all": Look("owner", "/ops/accounts"),
    "person of all": Look("owner", "{person of the owner}"),
    "invite for all": Look("owner", "/ops/accounts/invite"),
    "tenants": Look("owner", "/ops/tenants"),
    "tenants, release?": Look("owner", "/ops/tenants", press="Release proved.example"),
    "tenants, taken": Look("owner", "/ops/tenants", {"Short name": "acme", "Name": "Acme Ltd"}, "Add tenant"),
    "tenants, own": Look("owner", "/ops/tenants?done=added"),
    "devices, recorded": Look("viewed", "/me/sessions"),
    "pages opened, own": Look("viewed", "/me/sessions/views"),
    "pages opened, of a device": Look("viewed", "{views of a device}"),
    "pages opened, older": Look("viewed", f"{{views of a device}}&before={VIEWED + 50}.5"),
    "pages opened, nothing": Look("member", "/me/sessions/views"),
    "pages opened, of a person": Look("manager of beta", "{views of a person}"),
    "person, recorded": Look("manager of beta", "{person of beta}"),
    "page views": Look("owner", "/ops/page-views"),
    "page views, refused": Look("owner", "/ops/page-views", {"Reason": " "}, "Record page views"),
    "page views, record?": Look("owner", "/ops/page-views", {"Reason": "An investigation"}, "Record page views"),
    "people, reset?": Look("admin", "{reset}"),
    "people, sign out?": Look("admin", "{sign out}"),
    "operations": Look("owner", "/ops"),
    "operations, a week": Look("owner", "/ops?span=week"),
    "operations, sign out?": Look("owner", "/ops", {"Email": "crowd39@acme.example"}, "Sign out all devices"),
    "operations, sign out all?": Look("owner", "/ops", {"Tenant": "acme"}, "Sign out everyone"),
    "operations, block?": Look("owner", "/ops", {"IP address or network": "203.0.113.7"}, "Block"),
    "tenants, suspend?": Look("owner", "/ops/tenants", {}, "Suspend beta"),
    "person, disable?": Look("admin", "{person}", {}, "Disable account"),
    "operations, unknown": Look("owner", "/ops", {"Tenant": "nobody-there"}, "Sign out everyone"),
    "forbidden": Look("member", "/company"),
    "not found": Look("nobody", "/_gateway/static/none"),
    "bad address": Look("nobody", "/a%5cb"),
}


@dataclass(frozen=True, slots=True)
class Cast:
    """Who looks at pages, each in a browser of their own, and the links that they were sent."""

    site: Site
    tabs: dict[str, Page]
    links: dict[str, str]
    views: dict[Page, View] = field(default_factory=dict)

    def address_of(self, look: Look) -> str:
        name, _, more = look.at[1:].partition("}") if look.at.startswith("{") else ("", "", "")
        at = self.links[name] + more if name else look.at
        return at if at.startswith("https:") else f"{self.site.url}{at}"

    def show(self, look: Look) -> Page:
        page = self.tabs[look.who]
        accept(page, "en" if look.fill or look.press else LANGUAGE)
        page.goto(self.address_of(look))
        for label, text in look.fill.items():
            page.get_by_label(label, exact=True).fill(text)
        if look.press:
            accept(page, LANGUAGE)
            with page.expect_navigation():
                page.get_by_role("button", name=look.press, exact=True).click(force=True)
        return page

    def show_as(self, page: Page, view: View) -> None:
        """Change how a tab is shown, if it isn't shown like this: each change has the page laid out again."""
        before, self.views[page] = self.views.get(page, FIRST), view
        if before[0] != view[0]:
            page.emulate_media(color_scheme=view[0])
        if before[1] != view[1]:
            page.set_viewport_size({"width": view[1], "height": HEIGHT})

    def measure(self, page: Page, name: str, view: View) -> list[str]:
        """Return what is out of place on a page that is shown like this; take a picture of it if anybody wants one."""
        self.show_as(page, view)
        scheme, width = view
        if SCREENSHOTS:
            file = re.sub(r"\W+", "-", name).strip("-")
            page.screenshot(path=Path(SCREENSHOTS) / f"{file}-{scheme}-{width}.png", full_page=True)
        asked = ", ".join(f"'{kind}': {found}" for kind, found in MUST_BE_EMPTY[width].items())
        return [f"{width}: {kind}: {each}" for kind, found in page.evaluate(f"({{{asked}}})").items() for each in found]


@pytest.fixture(scope="module")
def browser(site: Site) -> Iterator[Browser]:
    with chromium(SHELL, site.port, is_drawn=bool(SCREENSHOTS)) as running:
        yield running


@pytest.fixture(scope="module")
def cast(site: Site, browser: Browser) -> Iterator[Cast]:
    people, links = gather(site)
    tabs = {who: tab_of(browser, site, person) for who, person in people.items()}
    links["form of another site"] = form_from_elsewhere(tabs["member"].context, site)
    yield Cast(site, tabs, links)
    for page in tabs.values():
        page.context.close()


def gather(site: Site) -> tuple[dict[str, Person], dict[str, str]]:
    """Bring everybody to where they look at pages, by HTTP alone; return them, and the links that they were sent."""
    gateway, mailbox = site.gateway, site.mailbox
    people: dict[str, Person] = {}
    links: dict[str, str] = {}

    def enter(who: str, email: str = "") -> Person:
        people[who] = Person(gateway, email)
        return people[who]

    form = enter("form", "crowd13@acme.example")
    sign_in_and_idle(form)
    links["form"] = str(press(form).get("location"))
    assert "We saved your form" in sign_in_again(form, links["form"]).body.decode()

    enter("member", PEOPLE["employee"][0]).give_password()
    admin = enter("admin", PEOPLE["admin"][0])
    admin.give_password()

    phone = enter("phone", "crowd10@acme.example")
    phone.give_password()
    phone.enrol()
    enter("between", phone.email).give_password()
    account = "(SELECT id FROM accounts WHERE identifier = 'crowd10@acme.example')"
    kept = f"SELECT id FROM backup_codes WHERE account = {account} LIMIT 2"
    gateway.write(f"DELETE FROM backup_codes WHERE account = {account} AND id NOT IN ({kept})")
    drifting = Person(gateway, "crowd11@acme.example")
    drifting.give_password()
    drifting.enrol()
    own = "WHERE account = (SELECT id FROM accounts WHERE identifier = :email)"
    gateway.write(f"UPDATE totp SET drift = -3 {own}", email=drifting.email)
    enter("drifting", drifting.email).give_password()

    made = admin.send("/admin/tokens/service", {"do": "created", "name": "Payroll export", "role": "manager"})
    links["service"] = str(made.get("location"))
    links["service of people"] = links["service"].replace("/tokens/service", "/accounts/member")
    links["companys"] = connect_company(site, admin, enter("companys", "crowd31@acme.example"))
    enter("key", "crowd16@acme.example").give_password()
    add_passkey(site, "crowd16@acme.example", "psk_0")
    add_passkey(site, "crowd17@acme.example", "psk_1")
    gateway.write("UPDATE accounts SET enrolled = 'passkey' WHERE identifier = 'crowd17@acme.example'")
    gateway.write("UPDATE accounts SET enrolled = '!totp' WHERE identifier = 'crowd30@acme.example'")
    enter("led", "crowd30@acme.example").give_password()
    enter("touching", "crowd17@acme.example").give_password()
    enter("former", "crowd19@acme.example").give_password()
    add_passkey(site, "crowd19@acme.example", "psk_2", "old.example.com")
    add_passkey(site, "crowd18@acme.example", "psk_3", "old.example.com")
    gateway.write("UPDATE accounts SET enrolled = 'passkey totp' WHERE identifier = 'crowd18@acme.example'")
    enter("away", "crowd21@acme.example").give_password()
    gateway.write("UPDATE accounts SET networks = '198.51.100.0/24' WHERE identifier = 'crowd21@acme.example'")
    enter("moved", "crowd18@acme.example").give_password()

    people["owner"], key, _ = enrol_owner(gateway, mailbox, OWNERS[6])
    links["used"] = mailed_link(mailbox, OWNERS[6])
    waiting = enter("waiting", OWNERS[6])
    waiting.give_password()
    waiting.submit("/login/totp", code=code_of(gateway, waiting.email, key))
    links["superseded"] = mailed_link(mailbox, waiting.email, 2)
    waiting.send("/login/link", {"resend": "1"})
    links["good"] = mailed_link(mailbox, waiting.email, 3)

    late = enter("late", OWNERS[7])
    late.give_password()
    links["expired"] = mailed_link(mailbox, late.email)
    gateway.write(f"UPDATE magic_links SET created_at = created_at - 601 {own}", email=late.email)
    gone = Person(gateway, OWNERS[8])
    gone.give_password()
    links["over"] = mailed_link(mailbox, gone.email)
    gone.submit("/login")
    first = enter("first", OWNERS[9])
    first.give_password()
    shown = first.send(mailed_link(mailbox, first.email), {}, follow=True)
    assert "Set up an authenticator app" in shown.body.decode()

    lock(Person(gateway, "crowd14@acme.example"))
    told = mailbox.wait_for(phone.email, "New sign-in")
    links["device"] = next(link for link in links_in(told) if "/devices/revoke/" in link)
    someone = account_id(site, phone.email)
    links["person"] = f"/admin/accounts/member?account={someone}"
    typed = {"name": "Somebody Else", "role": "manager", "module-hr": "1", "email": "else@acme.example"}
    carried = CarriedForm([Secret(b64decode(SECRET))]).seal(typed, account_id(site, admin.email), int(time.time()))
    links["typed"] = f"{links['person']}&form={carried}&done=proved"
    links["networks"] = f"/admin/networks/member?account={someone}"
    links["person of the owner"] = f"/ops/accounts/member?account={someone}"
    links["protected"] = f"/admin/accounts/member?account={account_id(site, OWNERS[0])}"
    links["myself"] = f"/admin/accounts/member?account={account_id(site, admin.email)}"
    links["reset"] = f"/admin/accounts/reset-2fa?account={someone}"
    for name, email in (
        ("locked", "crowd14@acme.example"), ("away", "crowd21@acme.example"), ("disabled", "dora@acme.example"),
        ("member", PEOPLE["employee"][0]),
    ):  # fmt: skip
        links[name] = f"/admin/accounts/member?account={account_id(site, email)}"
    for name in ("Calendar", "Backups"):
        people["member"].send("/me/tokens", {"name": name, "days": "30", "role": "employee", "access": "read"})
    links["secure"] = f"/admin/accounts/secure?account={someone}"
    links["secure companys"] = links["companys"].replace("/member", "/secure")
    links["sign out"] = f"/admin/accounts/sign-out?account={someone}"
    admin.send("/admin/accounts/invite", {"name": "Ivo Sand", "email": "ivo@acme.example", "role": "employee"})
    links["invitation"] = links_in(mailbox.wait_for("ivo@acme.example", "invited you"))[0]
    links["invited"] = f"/admin/accounts/member?account={account_id(site, 'ivo@acme.example')}"
    admin.send("/admin/accounts/invite", {"name": "Uma Late", "email": "uma@acme.example", "role": "employee"})
    gateway.write("DELETE FROM mailed_links WHERE identifier = 'uma@acme.example'")
    links["uninvited"] = f"/admin/accounts/member?account={account_id(site, 'uma@acme.example')}"
    leave_unused(site, admin, links)
    change_emails(site, links)
    admin.send("/admin/sso/domains", {"do": "added", "domain": "waiting.acme.example"})
    for domain, is_proved in (("proved.example", True), ("granted.example", False)):
        gateway.write(
            "INSERT INTO domain_claims (domain, tenant, claimed_at, claimed_by, is_proved)"
            " VALUES (:domain, 'acme', 1, 'o', :is_proved)",
            domain=domain, is_proved=is_proved,
        )  # fmt: skip
    record_views(site, enter("viewed"), enter("manager of beta"), links)
    issuer = "https://login.microsoftonline.com/8b87af7d-8647-4dc7-8df4-5f69a2011bb5/v2.0"
    fields = {"do": "saved", "kind": "entra", "issuer": issuer, "client_id": "c", "client_secret": "s"}
    assert people["manager of beta"].send("/admin/sso", fields).status == 303
    on = "UPDATE identity_providers SET is_enabled = :yes, tried_at = 1800000000 WHERE tenant = 'beta'"
    gateway.write(on, yes=True)
    visitor = enter("nobody")
    visitor.send(
        "/signup", {"name": "Nora Field", "email": "nora@acme.example", "password": "seven green kettles on a raft"}
    )
    links["signup"] = links_in(mailbox.wait_for("nora@acme.example"))[0]
    links["preview"] = upload(admin, "/admin/accounts/import", ROWS)
    assert links["preview"].startswith("/admin/accounts/import?id=")
    keep_fresh(site)
    return people, links


def keep_fresh(site: Site) -> None:
    """Have everybody's proofs be fresh for an hour more: it may take over ten minutes to get to the last page."""
    for session, written in site.gateway.write("SELECT id, proofs FROM sessions WHERE ended_at IS NULL"):
        proofs = [replace(proof, at=proof.at + 3_600) for proof in read_proofs(written)]
        site.gateway.write("UPDATE sessions SET proofs = :new WHERE id = :id", new=write_proofs(proofs), id=session)


def record_views(site: Site, viewed: Person, boss: Person, links: dict[str, str]) -> None:
    """Record page views of the tenant beta: of a browser with more than a page of them, a token, and one that is gone."""
    site.gateway.cli("page-views", "on", "beta", "--reason", "Customer data was found elsewhere", "--confirm")
    viewed.email, boss.email = PEOPLE["other"][0], "crowd36@acme.example"
    site.gateway.write(
        "UPDATE accounts SET tenant = 'beta', role = 'admin' WHERE identifier = :email", email=boss.email
    )
    for person in (viewed, boss):
        person.give_password()
    account = account_id(site, viewed.email)
    ((session,),) = site.gateway.write("SELECT id FROM sessions WHERE account = :account", account=account)
    paths = ("/reports/2026/sales figures", "/" + "very-long/" * 45, "/<b>&amp;\u202e", "/me/sessions", "/invite/…")
    for number in range(130):
        view = (
            VIEWED + number,
            "POST" if number % 3 else "GET",
            paths[number % 5],
            "2001:db8::7",
            (200, 0)[number % 2],
        )
        site.gateway.write(
            "INSERT INTO page_views (account, session, at, number, tenant, first_at, size, views)"
            " VALUES (:account, :session, :at, :number, 'beta', :at, 1, :views)",
            account=account, session=session if number % 10 else "ses_gone", at=view[0], number=number,
            views=json.dumps([view]),
        )  # fmt: skip
    links["views of a device"] = f"/me/sessions/views?session={session}"
    links["views of a person"] = f"/admin/accounts/views?account={account}"
    links["person of beta"] = f"/admin/accounts/member?account={account}"


def leave_unused(site: Site, admin: Person, links: dict[str, str]) -> None:
    """Have three people not be seen for a hundred days; one is a break-glass account, one only from an office."""
    emails, now = [f"crowd{number}@acme.example" for number in (33, 34, 35)], int(time.time())
    site.gateway.write("UPDATE accounts SET created_at = :now", now=now)
    ago = "UPDATE accounts SET created_at = :ago, enrolled = :enrolled WHERE identifier = :email"
    for email, enrolled in zip(emails, ("", "", "=exempt"), strict=True):
        site.gateway.write(ago, email=email, ago=now - 100 * 86_400, enrolled=enrolled)
    site.gateway.write("UPDATE accounts SET networks = '203.0.113.7' WHERE identifier = :email", email=emails[0])
    left = ".".join([account_id(site, emails[2]), account_id(site, admin.email)])
    links["unused left"] = f"/admin/access/unused?done=disabled&count=2&more=1&left={left}"


def accept(page: Page, language: str) -> None:
    """Ask for pages in a language from now on."""
    page.context.set_extra_http_headers({"Accept-Language": language})


def tab_of(browser: Browser, site: Site, person: Person) -> Page:
    """Open a profile with the cookies of a person."""
    scheme, width = FIRST
    context = browser.new_context(
        ignore_https_errors=True, color_scheme=scheme, viewport={"width": width, "height": HEIGHT}
    )
    context.add_init_script(Axe().axe_script)
    for name, value in person.cookies.items():
        context.add_cookies([{"name": name, "value": value, "url": site.url, "secure": True, "sameSite": "Lax"}])
    return context.new_page()


def connect_company(site: Site, admin: Person, companys: Person) -> str:
    """Store a provider, which signs in the administrator, and somebody without a password. Return that person's page."""
    issuer = "https://login.microsoftonline.com/3f2504e0-4f89-41d3-9a0c-0305e82c3301/v2.0"
    fields = {"do": "saved", "kind": "entra", "issuer": issuer, "client_id": "gateway", "client_secret": "s"}
    assert admin.send("/admin/sso", fields).status == 303
    admin.send("/admin/sso/roles", {"do": "saved", "default": "employee", "roles_follow": "yes"} | {
        "source-0": "group", "value-0": "3f2504e0-4f89-41d3-9a0c-0305e82c3302", "gives-0": "finance",
    })  # fmt: skip
    companys.give_password()
    run, accounts = site.gateway.write, "FROM accounts WHERE identifier = :email"
    run("UPDATE identity_providers SET is_enabled = :yes", yes=True)
    for person in (admin, companys):
        run(
            "INSERT INTO sso_links (id, provider, subject, account, created_at, used_at)"
            f" SELECT :email, (SELECT id FROM identity_providers), :email, id, 1, 2 {accounts}",
            email=person.email,
        )  # fmt: skip
    run("UPDATE accounts SET password_hash = NULL WHERE identifier = :email", email=companys.email)
    run("UPDATE accounts SET role = 'admin' WHERE identifier = :email", email="crowd32@acme.example")
    run(
        "INSERT INTO sso_keys (id, provider, state, algorithm, private, certificate, public, made_at)"
        " SELECT 'key_old', id, 'current', 'PS256', :none, :none, '{}', :made_at FROM identity_providers",
        none=b"x", made_at=int(time.time()) - 700 * 86_400,
    )  # fmt: skip
    site.gateway.announce()
    return f"/admin/accounts/member?account={account_id(site, companys.email)}"


def add_passkey(site: Site, email: str, passkey: str, rp_id: str = "app.example.com") -> None:
    """Store a passkey that nobody has, to look at pages."""
    site.gateway.write(
        "INSERT INTO passkeys (id, account, credential, public_key, sign_count, is_backup_eligible, is_backed_up,"
        " verifies, aaguid, transports, rp_id, name, created_at)"
        " SELECT :passkey, id, :key, :key, 0, :no, :no, :no, '', 'usb', :rp_id, 'YubiKey 5 Series', 1"
        " FROM accounts WHERE identifier = :email",
        passkey=passkey, key=passkey.encode(), no=False, rp_id=rp_id, email=email,
    )  # fmt: skip


def lock(person: Person) -> None:
    """Type wrong passwords until that is not taken any more: the owner sees it."""
    for _ in range(6):
        person.give_password(password="wrong")


def account_id(site: Site, email: str) -> str:
    ((found,),) = site.gateway.write("SELECT id FROM accounts WHERE identifier = :email", email=email)
    return str(found)


def change_emails(site: Site, links: dict[str, str]) -> None:
    """Ask for new emails as an admin does, for one with a phone and one without; and change one altogether."""
    admin = Person(site.gateway, "admin", source="127.0.0.12")
    admin.sign_in()
    for who, email in (("", "crowd12@acme.example"), (" of phone", "crowd10@acme.example")):
        account = account_id(site, email)
        admin.send("/admin/accounts/member", {"account": account, "do": "saved", "email": f"new-{email}"})
        links[f"new email{who}"] = links_in(site.mailbox.wait_for(f"new-{email}", "Confirm"))[0]
        links[f"old email{who}"] = links_in(site.mailbox.wait_for(email, "is to be changed"))[0]
    links["person with a change"] = f"/admin/accounts/member?account={account_id(site, 'crowd12@acme.example')}"
    changed = Person(site.gateway, "crowd15@acme.example", source="127.0.0.12")
    changed.sign_in()
    changed.send("/me/email", {"email": "new15@acme.example"})
    confirm = links_in(site.mailbox.wait_for("new15@acme.example", "Confirm"))[0]
    changed.send(confirm.removeprefix(site.url), {})
    links["undo email"] = links_in(site.mailbox.wait_for("crowd15@acme.example", "was changed"))[0]


def form_from_elsewhere(context: BrowserContext, site: Site) -> str:
    """Press the button on a page of another site, and return where that leads."""
    page = context.new_page()
    page.route("https://pay.example/", lambda route: route.fulfill(
        content_type="text/html",
        body=f'<form method="post" action="{site.url}/checkout/return?order=7"><input name="reference" value="inv-7">'
        '<input name="status" value="paid"><button>Back to the shop</button></form>',
    ))  # fmt: skip
    page.goto("https://pay.example/")
    page.get_by_role("button", name="Back to the shop").click(force=True)
    expect(page.get_by_role("heading", level=1)).to_have_text("Another website sent this form")
    where = page.url
    page.close()
    return where


# The ceremonies of passkeys that the Permissions-Policy of a page allows, and those that it has a form for.
PERMITTED = """
["create", "get"].filter(kind => document.featurePolicy.allowsFeature(`publickey-credentials-${kind}`))
"""
CEREMONIES = "[...document.querySelectorAll('[data-passkey]')].map(form => form.dataset.passkey)"

# Where a person is led who has to sign in, or to prove again who they are, so that a page is not taken for another.
LED_AWAY = re.compile(r"/login(/\w+)?\?next=")

# All of axe's rules once, and those about colours again in the dark. Only what it finds is sent here.
EVERY_RULE = "{}"
COLOURS = """{runOnly: ["color-contrast", "link-in-text-block"]}"""
VIOLATIONS = """
(async rules => {
  const {violations} = await axe.run(document, {resultTypes: ["violations"], ...rules});
  return violations.flatMap(each => each.nodes.map(node => `${each.id}: ${node.html.slice(0, 120)}`));
})
"""
# axe takes seconds for a hundred rows. Of those that have the same elements, classes and attributes, it sees two.
FEWER_ROWS = """
(() => {
  const seen = {};
  for (const row of document.querySelectorAll(".table tbody tr")) {
    const kind = [...row.querySelectorAll("*")].map(e => `${e.tagName} ${e.className} ${e.getAttributeNames()}`).join();
    seen[kind] = (seen[kind] || 0) + 1;
    if (seen[kind] > 2) row.remove();
  }
})()
"""
SMALL = """
[...document.querySelectorAll("main .button, main button, main input:not([type=checkbox]), main select, main .check")].filter(e => e.checkVisibility())
  .map(e => [e.outerHTML.slice(0, 80), e.getBoundingClientRect().height]).filter(e => e[1] < 44)
"""

# What a page weighs with everything that it loads, before compression; what comes from other sites; stylesheets.
LOADED = """
(() => {
  const all = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
  return [
    all.reduce((sum, each) => sum + each.decodedBodySize, 0),
    all.map(each => each.name).filter(name => !name.startsWith(location.origin + "/")),
    document.querySelectorAll("link[rel=stylesheet]").length,
  ];
})()
"""
# Whether a form says that something is wrong, but marks no field.
UNMARKED = """
!!document.querySelector("main .problem[role=alert]") && !!document.querySelector("main form[method=post] :is(input:not([type=hidden]), select, textarea)") && !document.querySelector("main [aria-invalid=true]")
"""

MAX_WEIGHT = 60_000  # bytes
HEAVY = (
    "pages opened, of a device", "audit of all", "audit", "access review", "people of all", "person, with tokens",
    "language and time", "operations, a week", "single sign-on, settings",
)  # fmt: skip

# What a thumb would hit two of, and what of a table lies outside its frame.
TOUCHING = """
(() => {
  const all = [...document.querySelectorAll("main .button, main button, main input:not([type=hidden]), main select")]
    .filter(e => e.checkVisibility() && !e.closest(".with-button") && !e.closest("fieldset")).map(e => [e, e.getBoundingClientRect()]);
  const gap = (a, b) => Math.max(a.left - b.right, b.left - a.right, a.top - b.bottom, b.top - a.bottom);
  return all.flatMap(([e, a], at) => all.slice(at + 1).filter(([, b]) => gap(a, b) < 7).map(([f]) => e.outerHTML.slice(0, 80) + f.outerHTML.slice(0, 80)));
})()
"""
SIDEWAYS = "document.documentElement.scrollWidth > innerWidth ? [document.documentElement.scrollWidth] : []"
# What would never end, on a page that isn't drawn.
MOVING = "document.getAnimations().map(each => each.effect.target.outerHTML)"
HIDDEN = "[...document.querySelectorAll('.table')].filter(e => e.scrollWidth > e.clientWidth).map(e => e.ariaLabel)"
# Selects that show less than the whole of what is chosen.
CUT = """
[...document.querySelectorAll("main select")].filter(e => e.checkVisibility() && e.selectedOptions.length).filter(e => {
  const free = e.cloneNode();
  free.append(e.selectedOptions[0].cloneNode(true));
  free.style.cssText = "position: absolute; width: max-content";
  e.after(free);
  const wanted = free.offsetWidth;
  free.remove();
  return wanted > e.offsetWidth;
}).map(e => e.id)
"""
# Texts that reach over the edge of their card, and examples in fields that are as pale as browsers show them.
OUTSIDE = """
[...document.querySelectorAll("main :is(.card, .panel) *")].filter(e => e.checkVisibility() && !e.children.length && e.textContent.trim() && !e.closest("svg, option, .unseen")).filter(e => {
  const card = e.closest(".card, .panel"), range = document.createRange();
  range.selectNodeContents(e);
  return range.getBoundingClientRect().right > card.getBoundingClientRect().right - parseFloat(getComputedStyle(card).paddingRight) + 1;
}).map(e => e.outerHTML.slice(0, 120))
"""
PALE = """
[...document.querySelectorAll("main [placeholder]")].filter(e => {
  const muted = Object.assign(document.createElement("i"), {style: "color: var(--muted)"}), shown = getComputedStyle(e, "::placeholder");
  e.after(muted);
  const color = getComputedStyle(muted).color;
  muted.remove();
  return shown.color !== color || shown.opacity !== "1";
}).map(e => e.outerHTML.slice(0, 120))
"""
EMPTY = "[...document.querySelectorAll('main .beside > *')].filter(e => !e.innerText.trim()).map(e => e.outerHTML.slice(0, 80))"
UNNAMED = "[...document.querySelectorAll('.table td:not([data-label], [colspan])')].map(e => e.outerHTML)"

# On a phone: short addresses that are broken, and buttons below each other that are not equally wide.
BROKEN = """
[...document.querySelectorAll("main dd, main .address")].filter(e => e.checkVisibility() && !e.children.length && /^[\\w.@-]{1,24}$/.test(e.innerText.trim()))
  .filter(e => { const range = document.createRange(); range.selectNodeContents(e); return range.getClientRects().length > 1; }).map(e => e.outerHTML)
"""
UNEQUAL = """
[...document.querySelectorAll("main .row, main .inline")].flatMap(row => {
  const all = [...row.querySelectorAll(".button, button:not(.link)")].filter(e => e.checkVisibility()).map(e => [e, e.getBoundingClientRect()]);
  return all.slice(1).filter(([, b]) => b.top > all[0][1].bottom && Math.abs(b.width - all[0][1].width) > 1).map(([e]) => e.outerHTML.slice(0, 80));
})
"""


# Texts that no catalogue has: a message in the pseudo-language is in brackets.
PLAIN = """
[document.title, ...[...document.querySelectorAll("h1, h2, h3, th, dt, label, legend, button, summary, caption, nav a, .note p")]
  .filter(e => e.checkVisibility()).map(e => e.innerText)].filter(text => !text.includes("["))
"""
WORD = re.compile(r"[A-Za-z]{3}")
# What people and programs are called on these pages, and fields of forms of the application.
DATA = re.compile(
    "|".join(name for _, name, *_ in PEOPLE.values()) + r"|Crowd \d+|[\w.+-]+@[\w.]+|\d+ \w{3,4} \d{4}|otw_\w+|"
    r"Ivo Sand|Uma Late|Backups|Night job|(?:My c|C)alendar|Payroll export|YubiKey 5 Series|OtiumWork|acme|beta|otium|order|password|project|reference|status|week|hours"
)
UNREADABLE = {"bad address"}  # the request is refused before its languages are read

# The navigation's current entry, by the path of the page.
LABELS = {route.name: [entry.label] for route, entry in list_entries(ROUTES)}
CURRENT = {route.path: LABELS[find_place(route, ROUTES)] for route in ROUTES if find_place(route, ROUTES)}

# In this order, a tab changes least: it comes as the page before it was left, in the dark and narrow.
MEASURED: list[View] = [("dark", NARROW), ("light", MIDDLE), ("light", WIDE)]
IN_PICTURES: list[View] = [*MEASURED, ("light", NARROW), ("dark", WIDE)]
VIEWS: list[View] = [("light", WIDE), ("dark", NARROW)]

# What must be empty on a page that is this wide. One question to the browser asks all of it.
EVERYWHERE = {
    "scrolls sideways": SIDEWAYS, "touch": TOUCHING, "partly hidden": HIDDEN, "no label": UNNAMED,
    "outside": OUTSIDE, "empty column": EMPTY, "pale": PALE,
} | ({} if SCREENSHOTS else {"moves": MOVING})  # fmt: skip
MUST_BE_EMPTY = {
    NARROW: EVERYWHERE | {"broken": BROKEN, "not as wide": UNEQUAL},
    MIDDLE: EVERYWHERE | {"small": SMALL},
    WIDE: EVERYWHERE | {"cut": CUT},
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_can_be_used_by_everybody(cast: Cast, name: str) -> None:
    page = cast.show(PAGES[name])
    assert PAGES[name].at.startswith("/login") or not LED_AWAY.search(page.url)
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    permitted, ceremonies, (_, *loaded) = page.evaluate(f"[{PERMITTED}, {CEREMONIES}, {LOADED}]")
    assert permitted == ceremonies
    assert loaded == [[], 1]
    found = [wrong for view in (IN_PICTURES if SCREENSHOTS else MEASURED) for wrong in cast.measure(page, name, view)]
    if LANGUAGE == PSEUDO and name not in UNREADABLE:
        found += [f"not in brackets: {text}" for text in page.evaluate(PLAIN) if WORD.search(DATA.sub("", text))]
    page.evaluate(FEWER_ROWS)
    for view in IN_PICTURES if SCREENSHOTS else VIEWS:
        cast.show_as(page, view)
        found += violations(page, view, EVERY_RULE if view == VIEWS[0] else COLOURS)
    assert found == []
    assert not (PAGES[name].fill and page.evaluate(UNMARKED))
    assert page.locator("nav.pages [aria-current]").all_inner_texts() == current_of(urlsplit(page.url).path)


@pytest.mark.parametrize("name", HEAVY)
def test_a_page_with_everything_weighs_at_most_sixty_kilobytes(cast: Cast, name: str) -> None:
    page = cast.tabs[PAGES[name].who]
    accept(page, "de")
    page.goto(cast.address_of(PAGES[name]))
    weight, _, _ = page.evaluate(LOADED)
    assert 20_000 < weight <= MAX_WEIGHT


def current_of(path: str) -> list[str]:
    return [Language.of(LANGUAGE).messages.gettext(label) for label in CURRENT.get(path, [])]


def violations(page: Page, view: View, rules: str) -> list[str]:
    """Return what axe finds."""
    return [f"{view}: {found}" for found in page.evaluate(f"{VIOLATIONS}({rules})")]
