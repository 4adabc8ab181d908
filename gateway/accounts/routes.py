"""Routes of the pages about people, an admin's and the owner's, and of those that change one's own email."""

from __future__ import annotations

from functools import partial

from gateway.accounts import invite_pages, pages, resend_pages
from gateway.accounts.csv_import import pages as import_pages
from gateway.accounts.csv_import.pages import ImportPages
from gateway.accounts.email_pages import EmailPages
from gateway.accounts.invite_pages import InvitePages, invites_admin
from gateway.accounts.pages import AccountsPages
from gateway.accounts.people_set import PeopleSet
from gateway.accounts.resend_pages import ResendPages
from gateway.model.sentence import Sentence
from gateway.policy.decision import Need
from gateway.web.routes import Fresh, Pages, Route
from gateway.web.sections import Entry, Section

EMAIL = Pages(
    EmailPages,
    Route(
        "email", "/me/email", Need.SESSION, get=EmailPages.show_own, post=EmailPages.ask, below="security",
        fresh=Fresh(is_announced=True), needs_mail="email",
    ),
    Route(
        "email_confirm", "/me/email/{token}", Need.NOBODY, get=EmailPages.show, post=EmailPages.confirm,
        refuses_blocked=True,
    ),
    Route("email_old", "/me/email-change/{token}", Need.NOBODY, get=EmailPages.show_old, post=EmailPages.answer_old),
    Route("email_undo", "/me/email-undo/{token}", Need.NOBODY, get=EmailPages.show_undo, post=EmailPages.undo),
)  # fmt: skip


def people_pages(
    name: str, path: str, need: Need, entry: Entry
) -> tuple[
    Pages[pages.Needs, AccountsPages],
    Pages[invite_pages.Needs, InvitePages],
    Pages[resend_pages.Needs, ResendPages],
    Pages[import_pages.Needs, ImportPages],
]:
    """Return one of the two sets of pages; `name`, `path` and `entry` are those of the list."""
    people = PeopleSet(name, is_owners=need is Need.OWNER)
    shows, invites, imports = AccountsPages, InvitePages, ImportPages
    return (
        Pages(
            partial(AccountsPages, people=people),
            Route(name, path, need, get=shows.show, entry=entry),
        ),
        Pages(
            partial(InvitePages, people=people),
            Route(
                f"{name}_invite", f"{path}/invite", need, get=invites.show, post=invites.invite,
                fresh=Fresh(only_post=True, when=partial(invites_admin, people)), needs_mail="invitation",
            ),
        ),
        Pages(
            partial(ResendPages, people=people),
            Route(f"{name}_resend", f"{path}/resend", need, post=ResendPages.resend, needs_mail="invitation"),
        ),
        Pages(
            partial(ImportPages, people=people),
            Route(
                f"{name}_import", f"{path}/import", need, get=imports.show, post=imports.submit,
                needs_mail="invitation",
            ),
            Route(f"{name}_import_sample", f"{path}/import/sample", need, get=imports.sample, needs_mail="invitation"),
            Route(
                f"{name}_import_mistakes", f"{path}/import/mistakes", need, get=imports.mistakes,
                needs_mail="invitation",
            ),
            Route(  # needs a fresh proof: the file may contain admins
                f"{name}_import_start", f"{path}/import/start", need, post=imports.start,
                fresh=Fresh(back=f"{name}_import", carry=("id",)), needs_mail="invitation",
            ),
        ),
    )  # fmt: skip


PAGES = (
    EMAIL,
    *people_pages("accounts", "/admin/accounts", Need.ADMIN, Entry(Section.ADMINISTRATION, 1, Sentence("People"))),
    *people_pages("ops_accounts", "/ops/accounts", Need.OWNER, Entry(Section.OPERATIONS, 2, Sentence("All people"))),
)
