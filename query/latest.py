"""The newest values of a device, at once: what the live store has, and what it has yet to take, as one.

In: a device's name. Out: its `LiveDevice`, with every message that was on the log when it was asked for. The store says
which ledger its answer goes with; the messages above it are taken in here as the store will take them in.
"""

from collections.abc import Sequence

from headwater.log import MESSAGES, Entry, partition_for
from headwater.message import Message, decode_message, read
from query.history import FRESH_SECONDS
from query.tail import Tail
from storage.contract import LiveDevice, LiveReader, LiveValue


class Latest:
    """Answers from the live store and the tail. `partitions`: of the topic `messages`."""

    def __init__(self, live: LiveReader, tail: Tail, *, partitions: int) -> None:
        self._live = live
        self._tail = tail
        self._partitions = partitions

    async def device(self, name: str) -> LiveDevice | None:
        """The device, or None if it never sent. Raises `Unavailable`."""
        key = name.encode()
        where = (partition_for(key, self._partitions),)
        await self._tail.reach(MESSAGES, FRESH_SECONDS, where)
        device, ledger = await self._live.device_as_of(name)
        return taken_in(name, device, await self._tail.above(MESSAGES, ledger, numbers=where, key=key))


def taken_in(name: str, device: LiveDevice | None, entries: Sequence[Entry]) -> LiveDevice | None:
    """The device after these entries, each of which the live store has not applied yet."""
    found = (read(decode_message, entry.value) for entry in entries)
    messages = [message for message in found if message is not None]
    for message in sorted(messages, key=lambda message: (message.time, message.received, message.id)):
        if device is None:
            device = LiveDevice(device=name, seen=message.received, time=-1)
        _take_in(device, message)
    return device


def _take_in(device: LiveDevice, message: Message) -> None:
    device.entries += 1
    device.seen = max(device.seen, message.received)
    if message.time >= device.time:
        device.time, device.via, device.kind = message.time, message.via, message.kind
        device.heard_by, device.decoder = message.heard_by, message.decoder
    stamp = (message.time, message.received, message.id)
    for values in (message.fields, message.texts):
        for field, value in values.items():
            known = device.values.get(field)
            if known is None or stamp > (known.time, known.received, known.id):
                device.values[field] = LiveValue(value, *stamp)
    if message.position is not None and (device.position_time is None or message.time >= device.position_time):
        device.position, device.position_time = message.position, message.time
