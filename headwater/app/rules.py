"""The rules that selection follows: published from the configuration and the registry, whenever one of them changes.

In: the configuration and the registry's choice of models. Out: rules in the registry, from where the outbox brings
them to the log.
"""

import asyncio
from contextlib import suppress

from msgspec import Raw

from consumers.rules import rules_of
from headwater.app.registry_tables import Tables
from headwater.config import Config
from headwater.directory import Directory
from headwater.message import Rules


async def publish_rules(registry: Tables, config: Config) -> Rules:
    """Make the configuration's rules, and the registry's choice of models, those that selection follows."""
    chosen: dict[str, str] = {}
    after = ""
    while page := await registry.devices(after):
        chosen |= {device.name: device.model for device in page if device.model}
        after = page[-1].name
    raw = rules_of(config.models, config.selection, chosen)
    return Rules(await registry.publish_rules(raw), Raw(raw))


async def follow_models(directory: Directory, registry: Tables, config: Config, stop: asyncio.Event) -> None:
    """When the registry gives a device another model, selection follows: at most one publication a second."""
    changed = asyncio.Event()
    unwatch = directory.watch(lambda _: changed.set())
    try:
        while not stop.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 1)
            if changed.is_set():
                changed.clear()
                await publish_rules(registry, config)
    finally:
        unwatch()
