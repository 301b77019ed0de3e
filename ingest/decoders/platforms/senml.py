"""SenML: measurements as constrained devices and LwM2M send them, in JSON, CBOR or XML.

By HTTP `?decoder=senml`, or a content type of its own (application/senml+json, senml+cbor, senml+xml, and sensml), by
MQTT on `channels/ID/messages`, as Magistrala has it.

    [{"bn": "urn:dev:ow:10e2073a0108:", "bt": 1763700000, "n": "temp", "u": "Cel", "v": 23.1}, {"n": "on", "vb": true}]

Comes out: device `urn:dev:ow:10e2073a0108`, fields `temp` = 23.1 and `on` = true; a message for each device and
time, and a description with the units. The device is the base name, or a name that is a device's URN; without either it
is that of the topic or path, and without that the name. A value without a name is called after its unit (`temperature`
for Cel), `%EL` is `battery`, `lat` and `lon` are the position. A sum is `NAME.sum`. Times below 2^28 count from now.

Source of the format: RFC 8428, units of RFC 8798; names of devices: RFC 9039.
"""

import re
from collections.abc import Mapping, Sequence
from html import unescape
from typing import Any

import msgspec

from headwater.errors import Rejected
from headwater.message import Message, Number
from ingest.contract import Payload
from ingest.decoders.draft import Draft, as_float, numeric, shared
from ingest.decoders.many import FAULTS
from ingest.decoders.naming import device_name
from ingest.decoders.parts import NUMBERS, short
from ingest.decoders.platforms.cbor import cbor
from ingest.decoders.platforms.units import MEASURED, described, in_usual, usual

_LABELS = {
    -1: "bver",
    -2: "bn",
    -3: "bt",
    -4: "bu",
    -5: "bv",
    -6: "bs",
    0: "n",
    1: "u",
    2: "v",
    3: "vs",
    4: "vb",
    5: "s",
    6: "t",
    7: "ut",
    8: "vd",
}
_BASES = frozenset({"bn", "bt", "bu", "bv", "bs"})
_LONGEST = 1024
_BEFORE = {"sv": "vs", "bv": "vb"}
_VERSION = 10
_RELATIVE = 1 << 28
_NUMBERS = (int, float)
_URN = re.compile(r"(urn:dev:[A-Za-z0-9]+:[^:_/;]+)[:_/;]?(.*)", re.DOTALL)
_XML = re.compile(r"<(?:\w+:)?senml((?:\s+[\w:.-]+\s*=\s*(?:\"[^\"<]*+\"|'[^'<]*+'))*+)\s*/?>")
_ATTRIBUTE = re.compile(r"([\w:.-]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_FIRST = re.compile(
    rb'\s*+(?:\[\s*+\{\s*+"(?:b[ntuvs]|bver|n"\s*+:\s*+"[^"]*+"\s*+,\s*+"(?:u|ut|v|vs|vb|vd|s|t))"\s*+:|<sensml\b)'
)
_read = msgspec.json.Decoder().decode


def recognises(data: bytes) -> bool:
    """An array that begins with a record, or the element `sensml`."""
    return _FIRST.match(data) is not None


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """A message for each device and time of a pack."""
    data = payload.data.strip() if payload.data[:1].isspace() else payload.data
    if not data:
        return ()
    return _Pack(payload).read(_records(data))


def _records(data: bytes) -> list[Any]:
    if data[:1] in (b"[", b"{"):
        try:
            said = _read(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
            raise Rejected("bad_json", f"this is no JSON: {problem}") from None
    elif data[:1] == b"<":
        said = [_attributes(tag) for tag in _XML.findall(data.decode("utf-8", "replace"))]
    elif data[:4] == b"$EXI":
        raise Rejected("unsupported", "SenML in EXI is not read; send JSON, CBOR or XML")
    else:
        said = cbor(data)
        said = [_labelled(record) for record in (said if isinstance(said, list) else [said])]
    if isinstance(said, dict) and isinstance(said.get("e"), list):
        said = _as_it_was(said)
    records: list[Any] = said if isinstance(said, list) else [said]
    if not records:
        raise Rejected("no_fields", "there is no record in it")
    return records


def _as_it_was(said: dict[str, Any]) -> list[Any]:
    """The form of the first drafts: the base around an array `e`, and other names for texts and booleans."""
    base = {name: value for name, value in said.items() if name in _BASES}
    records = [
        {_BEFORE.get(name, name): value for name, value in one.items()} if isinstance(one, dict) else one
        for one in said["e"]
    ]
    return [base, *records]


def _attributes(tag: str) -> dict[str, Any]:
    """A record of XML: all of it are texts, whose names say what they are."""
    found: dict[str, Any] = {}
    for name, one, other in _ATTRIBUTE.findall(tag):
        text = unescape(one or other)
        if name in ("v", "s", "t", "bt", "bv", "bs", "bver", "ut"):
            found[name] = numeric(text)
        else:
            found[name] = text == "true" if name == "vb" else text
    return found


class _Pack:
    """One pass over the records, which hand their base values on to the next ones."""

    def __init__(self, payload: Payload) -> None:
        self._payload = payload
        self._base: dict[str, Any] = {}
        self._drafts: dict[tuple[str, int | None], Draft] = {}
        self._places: dict[tuple[str, int | None], dict[str, float]] = {}
        self._units: dict[str, dict[str, str]] = {}
        self._bad: list[Rejected] = []

    def read(self, records: list[Any]) -> list[Message | Rejected]:
        for index, record in enumerate(records):
            try:
                self._record(record)
            except Rejected as problem:
                self._bad.append(Rejected(problem.reason, f"record {index}: {problem.detail}"))
                if len(self._bad) >= FAULTS:
                    self._bad.append(Rejected("too_large", f"after {FAULTS} such records the rest is left out"))
                    break
        made: list[Message | Rejected] = []
        for device, units in self._units.items():
            made += described(self._payload, device, units, {})
        for key, draft in self._drafts.items():
            place = self._places.get(key, {})
            draft.place(place.get("lat"), place.get("lon"), place.get("alt"))
            if not draft.empty:
                made += draft.messages()
        if not made and not self._bad:
            raise Rejected("no_fields", "there is no value in it")
        return made + self._bad

    def _record(self, record: Any) -> None:
        if not isinstance(record, dict):
            raise Rejected("bad_shape", "a record is an object")
        for key in record:
            if key in _BASES:
                value = record[key]
                if value.__class__ is str and len(value) > _LONGEST:  # what parts it from a name stays
                    value = shared(value[:-1]) + value[-1]
                self._base[key] = value
            elif key[-1:] == "_":
                raise Rejected("unsupported", f"{short(key)} must be understood, and is not")
        version = record.get("bver")
        if isinstance(version, int) and version > _VERSION:
            raise Rejected("unsupported", f"this is version {version} of SenML; {_VERSION} is known")
        if not record.keys() & {"v", "vs", "vb", "vd", "s"} and not ("bv" in record and "n" in record):
            return
        device, name = self._name(record)
        unit = record.get("u", self._base.get("bu", ""))
        unit = unit if isinstance(unit, str) else ""
        key = (device, self._time(record))
        draft = self._drafts.get(key)
        if draft is None:
            draft = self._drafts[key] = Draft(self._payload, device)
            draft.at = key[1]
        self._put(key, draft, name or MEASURED.get(unit, "value"), unit, record)

    def _put(self, key: tuple[str, int | None], draft: Draft, name: str, unit: str, record: dict[str, Any]) -> None:
        value = self._with_base(record, "v", "bv")
        if unit in ("lat", "lon", "alt") and value is not None:
            self._places.setdefault(key, {})[unit] = float(value)
            return
        name = "battery" if unit == "%EL" else name
        if value is not None:
            draft.put(name, in_usual(value, unit))
        total = self._with_base(record, "s", "bs") if "s" in record else None
        if total is not None:
            draft.put(f"{name}.sum", total)
        if isinstance(record.get("vb"), bool):
            draft.put(name, record["vb"])
        for text in (record.get("vs"), record.get("vd")):
            if isinstance(text, bytes):
                draft.put(name, text.hex())
            elif isinstance(text, str):
                draft.put(name, text)
        if unit and unit != "/":
            self._units.setdefault(draft.device, {})[name] = usual(unit)

    def _with_base(self, record: dict[str, Any], key: str, base: str) -> Number | None:
        value, add = record.get(key, 0 if base in record else None), self._base.get(base, 0)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, NUMBERS):
            raise Rejected("wrong_type", f"`{key}` is a number")
        return value + add if add and isinstance(add, NUMBERS) else value

    def _name(self, record: dict[str, Any]) -> tuple[str, str]:
        """(device, the value's own name, which may be blank)."""
        base, own = self._base.get("bn", ""), record.get("n", "")
        if not isinstance(base, str) or not isinstance(own, str):
            raise Rejected("wrong_type", "`bn` and `n` are texts")
        found = _URN.fullmatch(base + own)
        if found is not None:
            return device_name(found[1]), found[2]
        if base.strip(":/_-. "):
            return device_name(base.rstrip(":/_-. ")), own
        if self._payload.source.device:
            return self._payload.source.device, base + own
        if not own:
            raise Rejected("missing_device", "name the device by `bn`, or by the topic or path")
        return device_name(own), ""

    def _time(self, record: dict[str, Any]) -> int | None:
        """Microseconds; None: now."""
        moment = self._base.get("bt", 0)
        if moment.__class__ not in _NUMBERS or "t" in record:
            base, own = as_float(moment), as_float(record.get("t", 0))
            if base is None or own is None:
                raise Rejected("bad_time", "`bt` and `t` are numbers of seconds")
            moment = base + own
        if not moment or abs(moment) > 1e11:
            return None
        return round(moment * 1e6) + (self._payload.received if moment < _RELATIVE else 0)


def _labelled(record: Any) -> Any:
    """A record of CBOR with its labels as texts, as JSON has them."""
    if not isinstance(record, Mapping):
        return record
    return {_LABELS.get(key, str(key)) if isinstance(key, int) else key: value for key, value in record.items()}
