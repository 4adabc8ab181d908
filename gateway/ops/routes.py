"""Routes of the owner's operations page."""

from __future__ import annotations

from gateway.model.sentence import Sentence
from gateway.ops.pages import OpsPages
from gateway.policy.decision import Need
from gateway.web.routes import Pages, Route
from gateway.web.sections import Entry, Section

OPS = Pages(
    OpsPages,
    Route(
        "ops", "/ops", Need.OWNER, get=OpsPages.show, post=OpsPages.end_sessions,
        entry=Entry(Section.OPERATIONS, 1, Sentence("Overview")),
    ),
    Route("ops_unlock", "/ops/unlock", Need.OWNER, post=OpsPages.unlock),
    Route("ops_block", "/ops/block", Need.OWNER, post=OpsPages.block),
    Route("ops_unblock", "/ops/unblock", Need.OWNER, post=OpsPages.unblock),
)  # fmt: skip
PAGES = (OPS,)
