import asyncio
from collections.abc import AsyncGenerator, Callable

import pytest
import uvloop

from tests.certificates import Fleet
from tests.ingest.mqtt.kit import Endpoint, endpoint


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The event loop that the program uses."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def here() -> AsyncGenerator[Endpoint, None]:
    """An endpoint with the default settings."""
    async with endpoint() as made:
        yield made


@pytest.fixture(params=[4, 5], ids=["3.1.1", "5"])
def version(request: pytest.FixtureRequest) -> int:
    """Both protocol versions, one after the other."""
    return int(request.param)


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    """Certificates: made once, as that takes a while."""
    return Fleet(tmp_path_factory.mktemp("certificates"))
