"""Routes of the pages that secure accounts.

Each change needs a fresh proof, although it only ends things. The session that confirms is the one that stays: with a
stolen cookie alone, a thief could end the owner's session, forget the owner's devices (and with them the limits that
keep strangers' failures apart) and void the reset link that the owner is about to use, time and again. Whoever lost
the password to the thief as well doesn't need this page: a reset by email ends everything too, the thief included.
"""

from __future__ import annotations

from functools import partial

from gateway.accounts.people_set import PeopleSet
from gateway.compromised.pages import CompromisedPages, Needs, PersonPages, TenantPages
from gateway.policy.decision import Need
from gateway.web.routes import Fresh, Pages, Route

OWN = Pages(
    CompromisedPages,
    Route(
        "compromised", "/me/security/compromised", Need.SESSION,
        get=CompromisedPages.show, post=CompromisedPages.secure,
        fresh=Fresh(only_post=True, is_announced=True),
    ),
)  # fmt: skip
TENANT = Pages(
    TenantPages,
    Route(
        "ops_tenants_secure", "/ops/tenants/secure", Need.OWNER, get=TenantPages.show, post=TenantPages.secure,
        fresh=Fresh(carry=("tenant",)),
    ),
)  # fmt: skip


def person_pages(name: str, path: str, need: Need) -> Pages[Needs, PersonPages]:
    people = PeopleSet(name, is_owners=need is Need.OWNER)
    return Pages(
        partial(PersonPages, people=people),
        Route(
            f"{name}_secure", f"{path}/secure", need, get=PersonPages.show, post=PersonPages.secure,
            fresh=Fresh(carry=("account",)), needs_mail="password",
        ),
    )  # fmt: skip


PAGES = (
    OWN,
    TENANT,
    person_pages("accounts", "/admin/accounts", Need.ADMIN),
    person_pages("ops_accounts", "/ops/accounts", Need.OWNER),
)
