"""An administrator reviews who has access: the old proof is renewed on the way, and nothing needs a script."""

from __future__ import annotations

import csv
import time
from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.journeys.conftest import Site
from tests.support.gateway import PASSWORD, PEOPLE
from tests.support.visitor import Visitor

OLD = '[["password",1000]]'


def test_a_review_from_the_list_to_the_record(site: Site, browser: Browser, tmp_path: Path) -> None:
    now, run = int(time.time()), site.gateway.write
    run("UPDATE accounts SET created_at = :now", now=now)
    for number in (1, 2, 3):
        run(
            "UPDATE accounts SET created_at = :ago WHERE identifier = :email",
            ago=now - 100 * 86_400, email=f"crowd{number}@acme.example",
        )  # fmt: skip
    context = browser.new_context(ignore_https_errors=True, java_script_enabled=False)
    adam = Visitor(site.gateway, site.mailbox, context, PEOPLE["admin"][0])
    adam.give_password("/admin/accounts")
    page = adam.page
    page.get_by_role("link", name="Access review").click()
    adam.has_heading("Access review")

    with page.expect_download() as download:
        adam.press("Download everyone as CSV")
    download.value.save_as(tmp_path / "access.csv")
    with (tmp_path / "access.csv").open(newline="") as file:
        assert "crowd2@acme.example" in {row["email"] for row in csv.DictReader(file)}

    page.get_by_role("link", name="Unused accounts").click()
    adam.has_heading("Inactive for 90 days")
    run("UPDATE sessions SET proofs = :old", old=OLD)
    site.gateway.announce()
    page.get_by_label("Select Crowd 2").check()
    adam.press("Disable selected")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    adam.press("Continue")
    expect(page.get_by_role("status")).to_contain_text("please make it again")

    page.get_by_label("Select Crowd 2").check()
    page.get_by_label("Select Crowd 3").check()
    adam.press("Disable selected")
    adam.has_heading("Disable 2 accounts?")
    run("UPDATE accounts SET created_at = :now WHERE identifier = 'crowd3@acme.example'", now=now)
    adam.press("Disable accounts")
    expect(page.get_by_role("status")).to_contain_text("1 account disabled.")
    expect(page.get_by_role("status").get_by_role("listitem")).to_have_text("Crowd 3: Signed in since.")
    expect(page.get_by_role("row")).to_have_count(2)  # the heading, and Crowd 1

    page.get_by_role("link", name="Back to the access review").click()
    adam.press("Record a review now")
    expect(page.get_by_role("region", name="Last review")).to_contain_text(f"by {adam.email}")
    context.close()
