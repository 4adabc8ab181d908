"""What the tests of the sign-in share: two workers through which people sign in."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.login.world import World, running


@pytest.fixture
async def world(store_url: str) -> AsyncIterator[World]:
    async with running(store_url) as world:
        yield world


@pytest.fixture
async def twin(store_url: str, unhurried: None) -> AsyncIterator[World]:
    """Another worker on the same database, for what many do at once."""
    async with running(store_url) as world:
        yield world


@pytest.fixture
async def world_on_postgresql(postgres_url: str) -> AsyncIterator[World]:
    async with running(postgres_url) as world:
        yield world
