"""Leads from a verified factor to the page of the next one; where that is the mailed link, sends it."""

from __future__ import annotations

from aiohttp import web

from gateway.login.answers import Answers
from gateway.login.links import LinkSender, NoServer, TooMany
from gateway.login.outcome import GoOn
from gateway.mail.outbox import MailState
from gateway.model.factor import Factor
from gateway.web.redirects import Wish
from gateway.web.visit import Visit


class NextFactor:
    def __init__(self, answers: Answers, sender: LinkSender) -> None:
        self._answers = answers
        self._sender = sender

    async def ask(self, visit: Visit, outcome: GoOn, wish: Wish, now: int) -> web.Response:
        response = self._answers.go_on(outcome, wish)
        if outcome.factor is Factor.MAGIC_LINK:
            sent = await self._sender.send(outcome.account, outcome.holder, wish.target, visit.inbound, now)
            response.headers["Location"] += note_of(sent)
        return response


def note_of(sent: MailState | TooMany | NoServer) -> str:
    """Return what the page that waits is told. What has become of a mail it finds out by itself."""
    return "&mail=many" if isinstance(sent, TooMany) else ""
