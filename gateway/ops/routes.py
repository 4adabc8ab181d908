"""What the owner does about an attack. The page that shows it is beside the sessions (devices/routes.py)."""

from __future__ import annotations

from gateway.ops.pages import AttackPages
from gateway.policy.decision import Need
from gateway.web.routes import Pages, Route

ATTACKS = Pages(
    AttackPages,
    Route("ops_unlock", "/ops/unlock", Need.OWNER, post=AttackPages.unlock),
    Route("ops_block", "/ops/block", Need.OWNER, post=AttackPages.block),
    Route("ops_unblock", "/ops/unblock", Need.OWNER, post=AttackPages.unblock),
)
PAGES = (ATTACKS,)
