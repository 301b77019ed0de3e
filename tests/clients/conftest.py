import asyncio
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest
import uvloop

from tests.certificates import Fleet
from tests.clients.kit import Gateway, gateway


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The event loop that the program uses."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    return Fleet(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
async def here(tmp_path: Path, fleet: Fleet) -> AsyncGenerator[Gateway, None]:
    async with gateway(tmp_path, fleet) as made:
        yield made
