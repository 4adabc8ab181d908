"""Names the setting that is to be corrected, if the store can't be used."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Literal

from gateway.settings import BadSettings, Settings
from gateway.settings.load import locate_problem
from gateway.store import StoreUnavailable
from gateway.store.location import locate
from gateway.store.readiness import naming


@contextlib.contextmanager
def blaming(settings: Settings, key: Literal["url", "direct_url"] = "url") -> Iterator[None]:
    """Raise BadSettings with the file (or variable) and the key of [store], in the place of StoreUnavailable."""
    try:
        with naming(locate(getattr(settings.store, key)).place):
            yield
    except StoreUnavailable as error:
        raise BadSettings([locate_problem(f"store.{key}", str(error), settings.origin)]) from error
