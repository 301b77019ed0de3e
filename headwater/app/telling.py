"""What a process of the stack tells the others about itself, for the flow page and the autoscaler's metrics.

In: the log, the process's metrics and workers. Out: its share on the topic `status` once a second, until the block
ends.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from functools import partial

from consumers.worker_state import WorkerState
from headwater.app.events import Events
from headwater.metrics import Metrics
from headwater.supervise import Supervisor
from query.flow_share import Counting
from query.others import farewell, tell

STOP_SECONDS = 6.0


@asynccontextmanager
async def telling(
    events: Events, metrics: Metrics, kind: str, states: Sequence[WorkerState] = ()
) -> AsyncGenerator[Counting]:
    """Nothing waits for it, and nothing fails with it. Gives the counting, which runs."""
    counting = Counting(metrics, kind, states)
    supervisor = Supervisor()
    supervisor.add("status", partial(tell, events, counting))
    try:
        yield counting
    finally:
        await supervisor.stop(STOP_SECONDS)
        await farewell(events, counting)
