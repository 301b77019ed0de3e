"""How a process is, and what it has counted: what `/healthz`, `/readyz` and `/metrics` answer.

In: a request. Out: a response. `query.system_api` makes routes of it; a gateway answers by it alone.
"""

import asyncio

from starlette.datastructures import State
from starlette.requests import Request
from starlette.responses import Response

from headwater.config import Config
from headwater.errors import HeadwaterError
from headwater.metrics import Metrics
from ingest.contract import Door
from query.asking import check_scraping, identity_of, metrics_digest
from query.health import Health
from query.replies import Answering, reply


def state_of(config: Config, door: Door) -> State:
    """`app.state` as `query.asking` and `query.answering` want it. `quotas` is added by whoever has them."""
    return State(
        {
            "door": door,
            "metrics_digest": metrics_digest(config.http),
            "answering": Answering(config.query.time),
        }
    )


class Process:
    """Its answers."""

    def __init__(self, health: Health, metrics: Metrics) -> None:
        self._health = health
        self._metrics = metrics

    async def healthz(self, _: Request) -> Response:
        return reply({"status": "ok", "checks": {}})

    async def readyz(self, request: Request) -> Response:
        """What is wrong is told to those who may read; the status to everyone."""
        checks = await self._health.ready()
        ready = all(check == "ok" for check in checks.values())
        answer = reply({"status": "ok" if ready else "not_ready", "checks": checks if _may_read(request) else {}})
        answer.status_code = 200 if ready else 503
        return answer

    async def scraped(self, request: Request) -> Response:
        """`metrics`, for whoever may read them; raises `Refused`."""
        check_scraping(request)
        return await self.metrics()

    async def metrics(self) -> Response:
        text = await asyncio.to_thread(self._metrics.text)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


def _may_read(request: Request) -> bool:
    try:
        return identity_of(request).may("read")
    except HeadwaterError:
        return False
