"""Bridges of one process. Their library is loaded only where there are any.

In: the configuration, the intake. Out: running bridges; raises `ConfigError`.
"""

from headwater.config import Config
from headwater.metrics import Metrics
from headwater.supervise import Supervisor
from ingest.contract import Intake
from ingest.quotas import Quotas


def bridging(config: Config, intake: Intake, metrics: Metrics, endpoint: str, quotas: Quotas) -> Supervisor:
    """Start them; stop what is returned. `endpoint`: HOST:PORT of our own MQTT."""
    running = Supervisor()
    if config.bridges:
        from ingest.bridge.bridge import Bridge  # noqa: PLC0415 - see above

        bridges = [Bridge(name, one, intake, metrics, endpoint, quotas) for name, one in config.bridges.items()]
        for bridge in bridges:
            running.add(bridge.name, bridge.run)
            if bridge.hands_back:
                running.add(f"{bridge.name} back", bridge.run_back)
    return running
