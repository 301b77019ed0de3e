"""What a gateway says of its own traffic: messages like any device's, so that rules, pages and alerts can watch them.

In: quotas, which have counted. Out: every so often, through the intake: one message of the device `gateway:NAME`, and
one each of `rate:DEVICE` and `address:IP` for those that sent most. All values are means a second; a device or address
that was not among them says nothing for that time.
"""

import asyncio
import re
import socket
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from heapq import nlargest

import msgspec

from headwater.registry import Identity
from headwater.saying import get_logger
from ingest.contract import Intake, Receipt, Source
from ingest.quotas import Quotas, Rates, Sum

log = get_logger()

_IDENTITY = Identity(name="headwater", trusted=True)
_SOURCE = Source("gateway")
_encode = msgspec.json.Encoder().encode


class _Nobody:
    """Nobody waits for these messages: the next ones say it anew."""

    def release(self) -> None:
        """`ingest.contract.Owner`."""


@asynccontextmanager
async def reporting(quotas: Quotas, intake: Intake, address: str) -> AsyncGenerator[None, None]:
    """Report until the block ends. `address`: HOST:PORT of this gateway, whose port tells it from others here."""
    every = quotas.settings.report_every
    name = f"{socket.gethostname()}-{address.rpartition(':')[2]}"
    task = asyncio.create_task(_run(quotas, intake, name, every), name="rates") if every else None
    try:
        yield
    finally:
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def _run(quotas: Quotas, intake: Intake, name: str, every: float) -> None:
    while True:
        await asyncio.sleep(every)
        try:
            report(quotas.rates(), intake, name, quotas.settings.reported)
        except Exception:  # a report that fails must not end those after it
            log.exception("the gateway's rates could not be reported")


def report(rates: Rates, intake: Intake, gateway: str, most: int) -> None:
    """Hand the messages of a period to the intake; none if nobody came who is counted."""
    payloads = [_encode(message) for message in messages(rates, gateway, most)]
    if payloads and not intake.full:
        intake.accept(_IDENTITY, _SOURCE, payloads, Receipt(_Nobody()))


def messages(rates: Rates, gateway: str, most: int) -> list[dict[str, object]]:
    """Native messages: what they say, and of whom."""
    if not rates.devices and not rates.addresses:
        return []
    everyone = Sum()
    for one in rates.devices.values():
        everyone = everyone.plus(messages=one.messages, size=one.size)
    for one in rates.addresses.values():
        everyone = everyone.plus(connects=one.connects, refused=one.refused)
    counts = {"devices": len(rates.devices), "addresses": len(rates.addresses)}
    own = _message("gateway:" + gateway, everyone, rates.seconds, counts)
    of_devices = _top("rate:", rates.devices, rates.seconds, gateway, most)
    return [own, *of_devices, *_top("address:", rates.addresses, rates.seconds, gateway, most)]


def _top(kind: str, sums: Mapping[str, Sum], seconds: float, gateway: str, most: int) -> list[dict[str, object]]:
    found = nlargest(most, sums.items(), key=lambda item: (item[1].messages, item[1].refused, item[1].connects))
    return [_message(kind + name, one, seconds, {"gateway": gateway}) for name, one in found]


def _message(name: str, one: Sum, seconds: float, more: Mapping[str, object]) -> dict[str, object]:
    device = re.sub(r"[^A-Za-z0-9_.:@=-]", "-", name)[:128]

    values = zip(("publishes", "bytes", "connects", "refused"), one, strict=True)
    fields = {key: round(value / max(seconds, 0.001), 3) for key, value in values}
    return {"device": device, "fields": {**fields, **more}}
