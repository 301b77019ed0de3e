"""What all LoRaWAN network servers say alike: ids of radios, who heard them, and the values in a radio payload.

In: parts of a server's JSON. Out: what of it goes into a `Draft`. A part that is not what it should be says nothing.
"""

import binascii
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from headwater.errors import Rejected
from headwater.message import Heard
from ingest.contract import Payload
from ingest.decoders.draft import TEXT, Draft, as_float, numeric
from ingest.decoders.explain import parse
from ingest.decoders.naming import device_name
from ingest.decoders.parts import EXACT, LEAST, SEQ_MOST, short

_EUI = re.compile(r"[0-9A-Fa-f]{2}([:-]?[0-9A-Fa-f]{2}){7}")
_NORTH = frozenset({"latitude", "Latitude", "lat", "Lat", "gps_lat", "latitudeDeg"})
_EAST = frozenset({"longitude", "Longitude", "lon", "Lon", "lng", "long", "gps_lon", "longitudeDeg"})
_HIGH = frozenset({"altitude", "Altitude", "alt", "Alt"})
_BATTERY = frozenset({"batteryLevel", "battery_level", "batteryPercent", "battery_percent", "batteryPercentage"})
_LABELS = re.compile(r"ersion|EUI|\bID\b|Serial|SN\b")
_MOST_HEARD = 64


def part(value: Any) -> dict[str, Any]:
    """An object, or an empty one."""
    return value if value.__class__ is dict else {}


def rows(value: Any) -> list[Any]:
    """An array; one object counts as an array of it."""
    if value.__class__ is list:
        return value
    return [value] if value.__class__ is dict else []


def said(value: Any) -> str:
    """A text without blanks around it, or ""."""
    return value.strip() if value.__class__ is str else ""


def read(payload: Payload, server: str, remedy: str) -> dict[str, Any]:
    """The JSON object of a server that may also send Protobuf, which is refused with what to set there."""
    data = payload.data
    if data[:1] == b"{" or data.lstrip()[:1] in b'{["0123456789-tfn':
        return parse(data)
    raise Rejected("unsupported", f"this is no JSON; if {server} sends Protobuf, {remedy}")


def eui(value: Any) -> str:
    """`01-01-…`, or the eight bytes in base64 → 16 lower-case hex digits; anything else → a device's name, or ""."""
    return _eui(value) if value.__class__ is str and value else ""


@lru_cache(maxsize=16_384)
def _eui(value: str) -> str:
    own = value.strip()
    if _EUI.fullmatch(own):
        return own.replace("-", "").replace(":", "").lower()
    if len(own) == 12 and own[-1] == "=":
        found = base64(own)
        if found is not None and len(found) == 8:
            return found.hex()
    return device_name(own) if own else ""


def base64(value: Any) -> bytes | None:
    """The bytes of a base64 text, None if it is none."""
    if value.__class__ is not str:
        return None
    try:
        return binascii.a2b_base64(value, strict_mode=True)
    except (ValueError, UnicodeError):
        return None


def counter(value: Any) -> int | None:
    """A frame counter, also as a text."""
    if value.__class__ is str:
        value = numeric(value)
    return value if value.__class__ is int and 0 <= value <= SEQ_MOST else None


def texts(draft: Draft, pairs: Iterable[tuple[str, Any]]) -> None:
    """Those that are texts, as such."""
    for name, value in pairs:
        if value.__class__ is str and value:
            draft.texts[name] = value if len(value) <= TEXT else value[: TEXT - 1] + "…"


def numbers(draft: Draft, pairs: Iterable[tuple[str, Any]]) -> None:
    """Those that are numbers, texts that are numbers, or booleans."""
    fields = draft.fields
    for name, value in pairs:
        found: Any = numeric(value) if value.__class__ is str else value
        kind = found.__class__
        if kind is bool or (kind is int and LEAST <= found <= EXACT):
            fields[name] = found
        elif kind is float or kind is int:
            draft.put(name, found)


def heard(draft: Draft, found: Iterable[tuple[str, Any, Any]]) -> None:
    """Gateways with RSSI and SNR, the strongest first; its two are fields too."""
    hearing = [
        Heard(
            gateway,
            rssi if rssi.__class__ is float else numeric(rssi) if rssi.__class__ is str else as_float(rssi),
            snr if snr.__class__ is float else numeric(snr) if snr.__class__ is str else as_float(snr),
        )
        for gateway, rssi, snr in found
        if gateway
    ]
    if not hearing:
        return
    if len(hearing) > 1:
        hearing.sort(key=_strength, reverse=True)
        del hearing[_MOST_HEARD:]
    draft.heard_by = hearing
    best = hearing[0]
    if best.rssi is not None:
        draft.fields["rssi"] = best.rssi
    if best.snr is not None:
        draft.fields["snr"] = best.snr


def _strength(one: Heard) -> float:
    return one.rssi if one.rssi is not None else -999.0


def content(draft: Draft, payload: Payload, given: Any, data: bytes | None, port: Any, names: Iterable[str]) -> None:
    """The values of a radio payload: as the server has decoded it, else by its model's codec, else as it is, in hex.

    `names`: under which the codec may be known, beside the model of the registry.
    """
    if given.__class__ is dict and given:
        values(draft, given)
        return
    if not data:
        return
    codec = payload.context.codec(payload.model, *names) if port.__class__ is int else None
    if codec is None:
        draft.texts["frm_payload"] = data.hex()[:TEXT]
        return
    made = codec(data, port, payload.received)
    values(draft, made.data)
    if made.warnings:
        draft.note("codec", "; ".join(made.warnings))


def values(draft: Draft, given: Mapping[str, Any]) -> None:
    """What a codec made of a payload, with its own names."""
    measured: Any = given.get("messages")
    if measured.__class__ is list and _seeed(draft, measured):
        given = {name: value for name, value in given.items() if name != "messages"}
    fields = draft.fields
    for name, value in given.items():
        kind = value.__class__
        if kind is float or (kind is int and LEAST <= value <= EXACT):  # JSON's numbers are finite
            fields[name] = value
        else:
            draft.tree(value, name)
    about(draft, given)


def about(draft: Draft, given: Mapping[str, Any]) -> None:
    """The device's place and charge, where a codec's values have them under their usual names."""
    north, east = _first(given, _NORTH), _first(given, _EAST)
    if north is not None and east is not None:
        draft.place(north, east, _first(given, _HIGH))
    if "battery" not in draft.fields:
        charge = _first(given, _BATTERY)
        if charge is not None and 0 <= charge <= 100:
            draft.fields["battery"] = charge


def _first(given: Mapping[str, Any], names: frozenset[str]) -> float | None:
    if not names.isdisjoint(given):
        for name, value in given.items():
            if name in names and (value.__class__ is float or value.__class__ is int):
                return value
    return None


def _seeed(draft: Draft, measured: list[Any]) -> bool:
    """SenseCAP's codecs list `{type, measurementValue}`: the type is the name. False if this is something else."""
    found = [one for row in measured for one in (row if row.__class__ is list else (row,))]
    if not found:
        return False
    for one in found:
        if one.__class__ is not dict or "measurementValue" not in one or not said(one.get("type")):
            return False
    for one in found:
        value = one["measurementValue"]
        if value.__class__ is float or value.__class__ is int:
            draft.put(said(one["type"]), value)
        elif value.__class__ is str and not _LABELS.search(one["type"]):  # some of its codecs round to a text
            draft.number(said(one["type"]), value)
        else:
            draft.tree(value, said(one["type"]))
    return True


def fault(what: str, server: str) -> Rejected:
    """For JSON that is none of this server's messages."""
    return Rejected("bad_shape", f"{short(what)} is no message of {server} that is known here")
