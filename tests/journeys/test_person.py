"""An administrator in Chromium: why somebody can't get in, a stolen laptop, and changes that survive a fresh proof.

Each task is counted in presses, from the list of people to its end; typing is not counted.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.journeys.conftest import Site
from tests.support.gateway import PASSWORD, PEOPLE
from tests.support.person import Person

FIREFOX = "User-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"


class Presses:
    """Presses what it is given, and counts."""

    def __init__(self) -> None:
        self.count = 0

    def press(self, what: Locator) -> None:
        what.click()
        self.count += 1


@pytest.fixture(params=["scripts", "no scripts"])
def admin(request: pytest.FixtureRequest, browser: Browser, site: Site) -> Iterator[Page]:
    """An administrator on the list of people, with JavaScript and without."""
    context = browser.new_context(ignore_https_errors=True, java_script_enabled=request.param == "scripts")
    page = context.new_page()
    page.goto(f"{site.url}/login?next=/admin/accounts")
    page.get_by_label("Email").fill(PEOPLE["admin"][0])
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("People at acme")
    yield page
    context.close()


def find(page: Page, email: str, presses: Presses) -> None:
    """Search a person, and open their page."""
    page.get_by_label("Name or email").fill(email)
    presses.press(page.get_by_role("button", name="Apply filters"))
    presses.press(page.locator("tbody a").first)


def is_in(person: Person) -> bool:
    return person.open("/whoami", follow=False).status == 200


def test_why_a_person_can_not_get_in_and_letting_them_in_again(
    admin: Page, site: Site, request: pytest.FixtureRequest
) -> None:
    number = 20 if request.node.callspec.params["admin"] == "scripts" else 21
    person, presses = Person(site.gateway, f"crowd{number}@acme.example", source="127.0.0.61"), Presses()
    for _ in range(6):
        person.give_password(password="wrong")
    find(admin, person.email, presses)
    why = admin.get_by_role("region", name="Can this person get in?")
    expect(why).to_contain_text("After too many wrong passwords from 127.0.0.61")
    assert presses.count == 2
    presses.press(why.get_by_role("button", name="Unlock"))
    expect(admin.get_by_role("status")).to_contain_text("Unlocked")
    expect(why).to_contain_text("Yes, nothing about their account stops them.")
    assert presses.count == 3
    assert person.give_password("/whoami").status == 200


def test_a_stolen_laptop_is_signed_out_and_the_rest_stays(admin: Page, site: Site) -> None:
    email, presses = "crowd22@acme.example", Presses()
    kept, stolen = (Person(site.gateway, email, source=f"127.0.0.{at}", browser=FIREFOX) for at in (62, 63))
    for each in (kept, stolen):
        each.give_password("/whoami")
    find(admin, email, presses)
    device = admin.get_by_role("listitem").filter(has_text="127.0.0.63").filter(has=admin.get_by_role("button"))
    presses.press(device.get_by_role("button", name="Sign out this device"))
    expect(admin.get_by_role("heading", level=1)).to_have_text(re.compile("Sign .* out of this device"))
    expect(admin.locator("main")).to_contain_text("Firefox on Windows")
    presses.press(admin.locator("main").get_by_role("button", name="Sign out device"))
    expect(admin.get_by_role("status")).to_contain_text("Device signed out.")
    assert presses.count == 4
    assert (is_in(stolen), is_in(kept)) == (False, True)


def test_what_was_typed_survives_a_fresh_proof_and_is_saved_together(admin: Page, site: Site) -> None:
    find(admin, "crowd23@acme.example", Presses())
    admin.get_by_label("Name", exact=True).fill("Ülkü O’Brien")
    admin.get_by_label("Role").select_option("manager")
    admin.get_by_label("Finance").check()
    age_proofs(site, PEOPLE["admin"][0])
    admin.get_by_role("button", name="Save").click()
    admin.get_by_label("Password", exact=True).fill(PASSWORD)
    admin.get_by_role("button", name="Continue", exact=True).click()
    expect(admin.get_by_role("status")).to_contain_text("Your changes are still in the form")
    expect(admin.get_by_label("Name", exact=True)).to_have_value("Ülkü O’Brien")
    expect(admin.get_by_label("Finance")).to_be_checked()
    admin.get_by_role("button", name="Save").click()
    note = admin.get_by_role("status")
    expect(note).to_contain_text("The name has been changed.")
    expect(note).to_contain_text("Role and access have been changed.")
    expect(admin.get_by_role("region", name="Overview")).to_contain_text("Manager, Finance")
    site.gateway.write(
        "UPDATE accounts SET name = 'Crowd 23', role = 'employee', modules = '' WHERE identifier = :e",
        e="crowd23@acme.example",
    )


def age_proofs(site: Site, email: str) -> None:
    """Have all proofs of a person's sessions be an hour old."""
    old = json.dumps([["password", int(time.time()) - 3_600]])
    query = "UPDATE sessions SET proofs = :old WHERE account = (SELECT id FROM accounts WHERE identifier = :email)"
    site.gateway.write(query, old=old, email=email)
    site.gateway.announce()
