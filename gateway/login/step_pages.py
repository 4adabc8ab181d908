"""Base class of the sign-in pages: their dependencies, and the response to a right proof."""

from __future__ import annotations

from typing import ClassVar, Protocol

from aiohttp import web

from gateway.login.answers import Answers
from gateway.login.counting import SignInCounts
from gateway.login.flow import Flow
from gateway.login.outcome import GoOn, OtherNetwork, SignedIn
from gateway.model.factor import Factor
from gateway.web.platform import Platform
from gateway.web.redirects import Wish
from gateway.web.visit import Visit
from gateway.wire.failures import Failure


class Needs(Platform, Protocol):
    @property
    def answers(self) -> Answers: ...
    @property
    def flow(self) -> Flow: ...
    @property
    def sign_in_counts(self) -> SignInCounts: ...


class StepPages:
    """Pages that ask for `factor`."""

    factor: ClassVar[Factor]

    def __init__(self, needs: Needs) -> None:
        self._flow = needs.flow
        self._answers = needs.answers
        self._counts = needs.sign_in_counts
        self._renderer = needs.renderer
        self._url = needs.url

    async def proceed(
        self, visit: Visit, wish: Wish, outcome: SignedIn | GoOn | OtherNetwork, now: int
    ) -> web.Response:
        """Redirect after a right proof, to the target or the next factor, or refuse the network."""
        if isinstance(outcome, OtherNetwork):
            inbound = visit.inbound
            return self._renderer.failure(Failure.OTHER_NETWORK, inbound.request_id, address=inbound.address)
        if isinstance(outcome, SignedIn):
            return self._answers.welcome(visit, outcome, wish.target)
        return await self._answers.go_on(visit, outcome, wish, now)
