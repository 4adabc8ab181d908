"""An owner, who signs in with three factors, as far as a test wants them to come."""

from __future__ import annotations

from tests.support.gateway import HOST, Gateway
from tests.support.mail import Mailbox, links_in
from tests.support.person import Person, code_of, codes_on, key_on

LINK_MAIL = "sign-in link"


def path_of(link: str) -> str:
    assert link.startswith(f"https://{HOST}/"), link
    return link.removeprefix(f"https://{HOST}")


def mailed_link(mailbox: Mailbox, recipient: str, count: int = 1) -> str:
    """Return the path of the latest sign-in link, once there are `count` of them."""
    return path_of(links_in(mailbox.wait_for(recipient, LINK_MAIL, count))[0])


def enrol_owner(own: Gateway, mailbox: Mailbox, who: str = "owner", **where: str) -> tuple[Person, str, list[str]]:
    """Return a signed-in owner, the TOTP key and the backup codes."""
    owner = Person(own, who, **where)
    waiting = owner.give_password("/platform")
    assert "Check your email" in waiting.body.decode()
    link = mailed_link(mailbox, owner.email)
    owner.open(link)
    page = owner.send(link, {}, follow=True)
    key = key_on(page)
    done = owner.submit("/login/totp", code=code_of(own, owner.email, key))
    assert done.status == 200, done.status
    return owner, key, codes_on(done)


def owner_before_link(own: Gateway, mailbox: Mailbox) -> tuple[Person, str, str]:
    """Return an owner who waits for the link, the link's path, and the TOTP key."""
    _, key, _ = enrol_owner(own, mailbox)
    owner = Person(own, "owner", source="127.0.0.3")
    owner.give_password("/platform")
    owner.submit("/login/totp", code=code_of(own, owner.email, key))
    return owner, mailed_link(mailbox, owner.email, 2), key
