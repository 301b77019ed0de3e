"""The short way of nearly all messages: plain readings in the native form, from bytes to the lane in one loop.

In: payloads of one sender and source. Out: entries in lanes, counted in the receipt, just as `LogIntake` makes them one
by one. Whatever is out of the ordinary, and all that will be rejected, is left for the intake to look at.
"""

from collections.abc import Sequence
from hashlib import blake2b

import msgspec

from headwater.config import Ingest
from headwater.errors import Rejected
from headwater.ids import DIGEST_SIZE, ID_LENGTH, fresh
from headwater.message import Message, Position, encode
from headwater.times import SECOND, believed
from ingest.bounds import Bounds
from ingest.contract import Receipt
from ingest.decoders.native import read_form
from ingest.lanes import Waiting
from ingest.moments import Moments
from ingest.pressure import Pressure
from ingest.recent import Recent
from ingest.routes import ASK_AGAIN, NUMBERS, Route, Routes

_hash = blake2b(digest_size=DIGEST_SIZE).copy  # copying one costs less than making one
_no_texts: dict[str, str] = {}
_are_numbers = NUMBERS.issuperset


class FastPath:
    """Shares what the intake knows: routes and devices, bounds, recent ids, how much waits, moments given away."""

    def __init__(
        self, config: Ingest, bounds: Bounds, routes: Routes, recent: Recent, pressure: Pressure, moments: Moments
    ) -> None:
        past, future = round(config.past * SECOND), round(config.future * SECOND)
        self._shared = bounds.good.issuperset, config.fields, config.text_length, past, future, routes, recent
        self._pressure = pressure
        self._moments = moments

    def take(  # noqa: C901, PLR0912, PLR0915  a call a message is dear, and so is each name that is looked up twice
        self, route: Route, payloads: Sequence[bytes], at: int, receipt: Receipt
    ) -> int:
        """Take the payloads from index `at` on; returns the index of the first that it leaves, or their count."""
        are_good, most_fields, text_length, past, future, routes, recent = self._shared
        named, most, allowed, speaker, fate = route.terms
        first, queued, size = at, 0, 0
        received = self._moments.next()
        for data in payloads[at:] if at else payloads:
            if len(data) > most or data.find(b'"fields"') < 0:
                break
            try:
                form = read_form(data)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                break
            fields = form.fields
            if not fields or len(fields) > most_fields or form.heard_by or not are_good(fields):
                break
            device = form.device
            if device is None:
                device = named
            elif type(device) is not str or (named and named != device):
                break
            known = routes.devices.get(device)
            if known is None or (allowed is not None and device not in allowed):
                break
            lane = known.lane
            if lane.stuck or (known.foreign and named and route.family is None):
                break
            if not 0 <= received - known.asked < ASK_AGAIN:
                routes.meet(device, received)
            texts = _no_texts
            if known.texts or not _are_numbers(map(type, fields.values())):
                texts = known.apart(fields)
                if texts is None or (texts and max(map(len, texts.values())) > text_length):
                    break
            moment = form.at
            if moment is None:
                time, flag = received, "none"
            elif type(moment) is int:
                time = moment = moment * 1000
                flag = ""
                if not received - past < moment < received + future:
                    time, flag = believed(moment, received, past, future)
            else:
                break
            own = form.id
            if own is None:
                if moment is None and form.seq is None:
                    own, name = fresh(), ""
                else:
                    digest = _hash()
                    digest.update(data)
                    own = digest.hexdigest()
                    name = f"{device} {own}"
            elif type(own) is str and 0 < len(own) <= ID_LENGTH and own.isprintable():
                name = f"{device} {own}"
            else:
                break
            place = form.position
            message = Message(
                device, own, received, time, moment, form.seq, flag, "" if speaker == device else speaker,
                form.kind or "telemetry", fields, texts,  # pyright: ignore[reportArgumentType]  # it has numbers alone now
                None if place is None else Position(place.lat, place.lon, place.alt, place.accuracy),
            )  # fmt: skip
            if known.check is not None:
                try:
                    known.check(message)
                except Rejected:
                    break
            at += 1
            received += 1
            if name in recent.younger or name in recent.older:
                continue
            value = encode(message)
            if not lane.queue:
                lane.wake.set()
            lane.queue.append(Waiting(known.key, value, receipt, fate, name))
            lane.size += len(value)
            queued += 1
            size += len(value)
        taken = at - first
        if taken:
            self._moments.latest = received - 1
            receipt.accepted += taken
            receipt.waiting += queued
            if queued != taken:
                route.transport.duplicate += taken - queued
            pressure = self._pressure
            pressure.count += queued
            pressure.size += size
        return at
