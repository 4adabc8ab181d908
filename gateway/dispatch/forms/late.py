"""Decides what happens with a saved form: it is shown, and sent when its sender presses the button.

The button first makes the browser repeat the POST at the form's own address (307, RFC 9110 §15.4.8), so that the
response appears under that address, and its relative links and forms work. The repeated request has no body; its
Referer identifies the saved form. Without a Referer, the response appears under the page's address.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from gateway.dispatch.forms.record import Form, is_keepable
from gateway.dispatch.forms.rows import Kept
from gateway.dispatch.forms.service import KeptForms
from gateway.edge.origin import is_from_elsewhere, is_own_post
from gateway.edge.request import Reader
from gateway.model.inbound import Inbound
from gateway.model.session import Session
from gateway.model.token import TOKEN
from gateway.policy.decision import Forward, Refuse, Rules, StepUp, decide
from gateway.wire.failures import Failure


@dataclass(frozen=True, slots=True)
class Send:
    """Forward the saved form with the head of `original`, if it is still allowed. It is already consumed."""

    original: Inbound
    kept: Kept


@dataclass(frozen=True, slots=True)
class RepeatThere:
    """Redirect the browser's POST to `target`."""

    target: str


@dataclass(frozen=True, slots=True)
class Show:
    """Show the form's page, or that the form is gone."""


@dataclass(frozen=True, slots=True)
class Foreign:
    """The button's request comes from another site."""


Outcome = Send | RepeatThere | Show | Foreign | StepUp | Refuse


class LateForms:
    """`path` is the address of saved forms without the token; `origins` are those of the site."""

    def __init__(self, forms: KeptForms, reader: Reader, path: str, origins: Collection[str]) -> None:
        self._forms = forms
        self._reader = reader
        self._path = path
        self._page = re.compile(re.escape(path) + TOKEN.pattern.decode("ascii"))
        self._origins = origins

    def is_saveable(self, inbound: Inbound, session: Session | None) -> bool:
        """Return whether a request that can't be forwarded yet is a form to save. The button's request is not."""
        is_known = session is not None or inbound.session_key is not None
        is_form = is_known and is_keepable(inbound) and is_own_post(inbound, self._origins)
        return is_form and not self.is_page(inbound) and not self.is_button(inbound)

    def is_foreign(self, inbound: Inbound) -> bool:
        """Return whether a form comes from another site, and so without our cookies, which are SameSite=Lax."""
        return is_keepable(inbound) and is_from_elsewhere(inbound, self._origins)

    def is_page(self, inbound: Inbound) -> bool:
        """Return whether the request is for the page of a saved form, as GET or by its button."""
        return self._page.fullmatch(inbound.path) is not None

    def is_button(self, inbound: Inbound) -> bool:
        """Return whether this may be the button's request at the form's own address."""
        return inbound.method == "POST" and not inbound.length and bool(self._pressed_on(inbound))

    def is_lost(self, inbound: Inbound) -> bool:
        """Return whether the request's content is lost, as it can't be forwarded. The button's request has none."""
        is_sent = inbound.method not in ("GET", "HEAD")
        return is_sent and not self.is_page(inbound) and not self.is_button(inbound)

    def page_of(self, inbound: Inbound) -> str:
        """Return the path of the saved form's page that the request refers to."""
        return inbound.path if self.is_page(inbound) else self._pressed_on(inbound)

    def _pressed_on(self, inbound: Inbound) -> str:
        referer = (inbound.value(b"referer") or b"").decode("ascii", "replace")
        pages = (
            referer.removeprefix(origin).partition("?")[0]
            for origin in self._origins
            if referer.startswith(f"{origin}/")
        )
        return next((page for page in pages if self._page.fullmatch(page)), "")

    async def judge(self, inbound: Inbound, session: Session, rules: Rules, now: int) -> Outcome:
        """Decide about a request for a saved form's page, or by its button. Raises StoreUnavailable."""
        is_pressed = inbound.method == "POST"
        if is_pressed and (inbound.length or not is_own_post(inbound, self._origins)):
            return Foreign()
        token = self.page_of(inbound).removeprefix(self._path)
        kept = await self._forms.find(token, session.account, inbound, now)
        original = original_of(kept.form, inbound, self._reader) if kept else None
        match decide(original, session, rules, now) if original else None:
            case StepUp() as decision:
                return decision
            case Refuse() as decision if is_pressed:
                return decision
            case Forward() if is_pressed and kept and original:
                is_there = inbound.target == original.target
                if not is_there and self._pressed_on(inbound):
                    return RepeatThere(kept.form.target) if self.is_page(inbound) else Show()
                if await self._forms.consume(kept, session, inbound, now):
                    return Send(original, kept)
        return Show()

    async def give_back(self, kept: Kept, session: Session, inbound: Inbound, now: int) -> None:
        """Make a consumed form available again, since it could not be sent. Raises StoreUnavailable."""
        await self._forms.give_back(kept, session, inbound, now)


def original_of(form: Form, inbound: Inbound, reader: Reader) -> Inbound | None:
    """Return the saved form as the request that this browser would send now.

    Another site's form keeps that site's Origin, Referer and Sec-Fetch-Site, so that the application does not take it
    for its own: the button is on one of our pages.
    """
    original = reader.read(f"POST {form.target} HTTP/1.1\r\nHost: {inbound.host}".encode("ascii"), "")
    if isinstance(original, Failure):
        return None
    own = {"Content-Type": form.content_type, "Referer": form.referer}
    if form.origin:
        own |= {"Origin": form.origin, "Sec-Fetch-Site": form.site}
    replaced = {name.lower().encode("ascii") for name in own}
    lines = [line for line in inbound.lines if line.partition(b":")[0].lower() not in replaced]
    lines += [f"{name}: {value}".encode("latin-1") for name, value in own.items() if value]
    return inbound._replace(target=original.target, readings=original.readings, lines=lines, length=len(form.body))
