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
from ingest.routes import ASK_AGAIN, Route, Routes

_hash = blake2b(digest_size=DIGEST_SIZE).copy  # copying one costs less than making one
_NO_TEXTS: dict[str, str] = {}


class FastPath:
    """Shares what the intake knows: routes and devices, bounds, recent ids, how much waits, moments given away."""

    def __init__(
        self, config: Ingest, bounds: Bounds, routes: Routes, recent: Recent, pressure: Pressure, moments: Moments
    ) -> None:
        self._past = round(config.past * SECOND)
        self._future = round(config.future * SECOND)
        self._text_length = config.text_length
        self._bounds = bounds
        self._routes = routes
        self._recent = recent
        self._pressure = pressure
        self._moments = moments

    def take(  # noqa: C901, PLR0912, PLR0915  a call a message is dear
        self, route: Route, payloads: Sequence[bytes], at: int, receipt: Receipt
    ) -> int:
        """Take the payloads from index `at` on; returns the index of the first that it leaves, or their count."""
        received = self._moments.next()
        queued = size = again = 0
        good, most_fields, past, future = self._bounds.good, self._bounds.most, self._past, self._future
        devices, younger, older = self._routes.devices, self._recent.younger, self._recent.older
        named, most, allowed, speaker = route.device, route.most, route.allowed, route.speaker
        fate, choosy = route.transport.accepted, route.family is None and named
        for data in payloads[at:] if at else payloads:
            if len(data) > most or data.find(b'"fields"') < 0:
                break
            try:
                form = read_form(data)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                break
            fields, device, own, moment = form.fields, form.device, form.id, form.at
            if not fields or len(fields) > most_fields or form.heard_by or not good.issuperset(fields):
                break
            if device is None:
                device = named
            elif type(device) is not str or (named and named != device):
                break
            known = devices.get(device)
            if known is None or (allowed is not None and device not in allowed) or (choosy and known.foreign):
                break
            lane = known.lane
            if lane.stuck:
                break
            if not 0 <= received - known.asked < ASK_AGAIN:
                self._routes.meet(device, received)
            texts = _NO_TEXTS
            for name, value in fields.items():
                if value is None or type(value) is str:
                    if texts is _NO_TEXTS:
                        texts = {}
                    texts[name] = value  # pyright: ignore[reportArgumentType]  # nulls are looked for below
            if texts is not _NO_TEXTS:
                if None in texts.values() or max(map(len, texts.values())) > self._text_length:
                    break
                for name in texts:
                    del fields[name]
            if moment is None:
                time, flag = received, "none"
            elif type(moment) is int:
                time = moment = moment * 1000
                flag = ""
                if not received - past < moment < received + future:
                    time, flag = believed(moment, received, past, future)
            else:
                break
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
            self._moments.latest = received
            received += 1
            if name in younger or name in older:
                again += 1
                continue
            value = encode(message)
            lane.add(Waiting(known.key, value, receipt, fate, name or None), len(value))
            queued += 1
            size += len(value)
        receipt.waiting += queued
        receipt.accepted += queued + again
        route.transport.duplicate += again
        self._pressure.count += queued
        self._pressure.size += size
        return at
