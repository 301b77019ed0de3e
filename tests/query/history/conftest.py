"""A site that is followed, for tests of history."""

from collections.abc import AsyncGenerator

import pytest

from tests.query.history.kit import Site, following


@pytest.fixture
async def site() -> AsyncGenerator[Site, None]:
    async with following(Site()) as made:
        yield made
