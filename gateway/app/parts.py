"""What the workers of one generation of settings share: made once before the fork, by the supervisor.

A worker that made them would execute much code only for that. Python counts references in whatever it executes, and
each page of memory with such a count becomes the worker's own. So here is all that needs neither the event loop nor the
worker's number; nothing is connected and no thread is started. The rest is made in app/gateway.py.
"""

from __future__ import annotations

from typing import Any

from gateway.app.nouns import FACTOR_PAGES, PAGES
from gateway.app.services import Services
from gateway.model.clock import Clock, utc
from gateway.observe.board import Board
from gateway.observe.refusals import Refusals
from gateway.observe.tally import Tally
from gateway.settings.record import Settings
from gateway.web.application import Desk, pages_application
from gateway.web.routes import Pages as NounPages
from gateway.web.routes import machine_answers


class Parts:
    """The counters, the services, and the application of all pages of all nouns, with their guards.

    Raises StoreUnavailable if SQLite's file can't be made, and NoBreachList.
    """

    def __init__(self, settings: Settings, board: Board, clock: Clock = utc) -> None:
        self.settings = settings
        self.board = board
        self.clock = clock
        self.tally = Tally(board)
        self.refusals = Refusals(self.tally.count_refusal)
        self.services = services = Services(
            settings, refused=self.refusals.note, count_sign_in=self.tally.count_sign_in, clock=clock
        )
        self.desk = Desk()
        nouns: tuple[NounPages[Services, Any], ...] = (*PAGES, *FACTOR_PAGES)
        foreign = {handed.path for pages in nouns for handed in pages.handed_over if handed.takes_foreign}
        foreign |= {route.path for route in services.routes.values() if route.takes_foreign}
        self.pages = pages_application(
            services.renderer, self.desk, services.origins, foreign, machine_answers(services.routes)
        )
        for pages in nouns:
            for method, path, handler in pages.bind(services, services.routes, services.guards.guard):
                self.pages.router.add_route(method, path, handler)

    def close(self) -> None:
        """Let go of everything, in the supervisor: the workers have it as it was when they were forked."""
        self.services.store.unmap()
        vars(self.services).clear()
        vars(self).clear()
