"""Is it well? Every part that must work is asked, at the same time and for a limited time.

In: probes by name, each returning or raising. Out: for each `ok` or what is wrong, in words.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from pydantic import BaseModel, Field

from consumers.worker_state import WorkerState
from headwater.errors import HeadwaterError, Unavailable

Probe = Callable[[], Awaitable[None]]
"""Returns if the part works; raises a `HeadwaterError` that says why not."""

_SECONDS = 2.0


class HealthAnswer(BaseModel):
    """How the process is."""

    status: str = Field(description="`ok`, or `not_ready`.", examples=["ok"])
    checks: dict[str, str] = Field(description="Part → `ok`, or what is wrong.", examples=[{"log": "ok"}])


class Health:
    """`workers`: ready only if all of them run; one that rests because its store is away says so in its reason."""

    def __init__(self, probes: Mapping[str, Probe], workers: Sequence[WorkerState]) -> None:
        self._probes = probes
        self._workers = workers

    async def ready(self) -> dict[str, str]:
        """Part → `ok` or what is wrong."""
        answers = await asyncio.gather(*(_asked(probe) for probe in self._probes.values()))
        checks = dict(zip(self._probes, answers, strict=True))
        for one in self._workers:
            checks[one.group] = "ok" if one.state == "running" else f"{one.state}: {one.reason or 'not running yet'}"
        return checks


async def _asked(probe: Probe) -> str:
    try:
        async with asyncio.timeout(_SECONDS):
            await probe()
    except TimeoutError:
        return f"no answer within {_SECONDS:g} s"
    except Unavailable as error:
        return str(error)
    except HeadwaterError as error:
        return f"{type(error).__name__}: {error}"
    return "ok"
