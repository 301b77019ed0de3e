"""What bridges hear at their own endpoint: each gateway's by itself, also where two are on one machine."""

import asyncio

from headwater.config_quotas import Quotas as Limits
from headwater.config_ways import Bridge as Settings
from headwater.metrics import Metrics
from ingest.bridge.bridge import Bridge
from ingest.quotas import Quotas
from tests.ingest.mqtt.kit import Endpoint, endpoint, until


def bridge(here: Endpoint, client_id: str) -> Bridge:
    settings = Settings(host="127.0.0.1", port=1, client_id=client_id, filters=("#",), back=("devices/+/commands/#",))
    quotas = Quotas(Limits(), lambda: 0.0)
    return Bridge("old", settings, here.intake, Metrics(), here.server.address, quotas)


async def test_two_gateways_of_one_machine_do_not_end_each_others_connection() -> None:
    async with endpoint() as here:
        stop = asyncio.Event()
        running = [asyncio.create_task(bridge(here, name).run_back(stop)) for name in ("gateway-1", "gateway-2")]
        try:
            await until(lambda: here.broker.router.subscriptions.count == 2)
            assert here.metrics.sample("mqtt_closed_total", reason="session_taken_over") == 0
        finally:
            stop.set()
            async with asyncio.timeout(10):
                await asyncio.gather(*running)
