"""Routes of one person's page, an admin's and the owner's."""

from __future__ import annotations

from functools import partial

from gateway.accounts.people_set import PeopleSet
from gateway.person.forms import FIELDS
from gateway.person.pages import Needs, PersonPages, gives_access
from gateway.policy.decision import Need
from gateway.web.routes import Fresh, Pages, Route


def person_pages(name: str, path: str, need: Need) -> Pages[Needs, PersonPages]:
    """Return one of the two sets of pages; `name` and `path` are those of the list of people."""
    shows = PersonPages
    return Pages(
        partial(PersonPages, people=PeopleSet(name, is_owners=need is Need.OWNER)),
        Route(
            f"{name}_member", f"{path}/member", need, get=shows.show, post=shows.change,
            fresh=Fresh(only_post=True, when=gives_access, carry=("account",), form=FIELDS, is_announced=True),
        ),
        Route(
            f"{name}_reset", f"{path}/reset-2fa", need, get=shows.confirm_reset, post=shows.reset,
            fresh=Fresh(carry=("account",)),
        ),
        # No fresh proof: signing out gives no rights.
        Route(f"{name}_sign_out", f"{path}/sign-out", need, get=shows.confirm_sign_out, post=shows.sign_out),
    )  # fmt: skip


PAGES = (
    person_pages("accounts", "/admin/accounts", Need.ADMIN),
    person_pages("ops_accounts", "/ops/accounts", Need.OWNER),
)
