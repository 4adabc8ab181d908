"""Registers the sign-in link."""

from __future__ import annotations

from typing import Protocol

from gateway.actions.action import Actions
from gateway.crypto import keys
from gateway.factors.contract import Folder
from gateway.factors.magic_link.factor import MagicLinkFactor
from gateway.factors.magic_link.mailing import LinkSender
from gateway.factors.magic_link.routes import PAGES
from gateway.factors.magic_link.rows import STORED
from gateway.mail.outbox import Outbox
from gateway.mail.samples import DEVICE
from gateway.mail.sender import Sender
from gateway.model.secret import Secret
from gateway.settings.record import Settings
from gateway.store import Store
from gateway.web.routes import Urls


class Needs(Protocol):
    @property
    def actions(self) -> Actions: ...
    @property
    def outbox(self) -> Outbox: ...
    @property
    def sender(self) -> Sender: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def store(self) -> Store: ...
    @property
    def url(self) -> Urls: ...


def build(needs: Needs) -> MagicLinkFactor:
    newest, *older = (Secret(keys.derive(secret, "magic-link/code", 32)) for secret in needs.settings.secrets)

    def make_sender() -> LinkSender:
        address = needs.url.address("link_opened", token="")
        return LinkSender(needs.store, needs.actions, needs.outbox, needs.sender, address)

    return MagicLinkFactor(newest, older, make_sender)


FACTOR = Folder(
    MagicLinkFactor,
    build,
    (PAGES,),
    STORED,
    mails={
        "sign_in_link": {
            "name": "Erin Zoë",
            "link": "https://app.example.com/login/link/Zm9yIHByZXZpZXdzIG9ubHk",
            "minutes": 10,
            "device": DEVICE,
            "address": "203.0.113.7",
        },
    },
)
