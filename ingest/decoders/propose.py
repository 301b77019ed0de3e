"""What a mapping for unknown traffic could look like: a first draft for a person to edit.

In: topics of one shape and a sample of their payloads. Out: YAML for `ingest.decoders.mapping`, or "" where it is no
JSON. Guesses are by the names that devices commonly use; a comment says what each of them is.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from ingest.decoders.clocks import instant

_DEVICE = (
    "device_id",
    "deviceid",
    "device",
    "dev_eui",
    "deveui",
    "imei",
    "serial",
    "sn",
    "mac",
    "id",
    "name",
    "client_id",
)
_TIME = ("timestamp", "when", "time", "ts", "datetime", "date", "at", "tst", "unixtime", "created_at", "dt")
_LAT, _LON = ("lat", "latitude"), ("lon", "lng", "long", "longitude")
_SEQUENCE = ("seq", "sequence", "fcnt", "counter", "packet")
_NUMBERED = re.compile(r".*(?:\d\d.*|\d)")
_ID = re.compile(r"(?:0x)?[0-9a-fA-F:-]{6,}|\d+")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_SIZE = 200
_parse = msgspec.json.Decoder[Any]().decode


def shape_of(topic: str) -> str:
    """`tele/plug-17/SENSOR` → `tele/+/SENSOR`: ids and numbered names vary; the first level only where it is an id."""
    first, *rest = topic.split("/")
    levels = ["+" if _ID.fullmatch(first) else first]
    return "/".join(levels + ["+" if _ID.fullmatch(level) or _NUMBERED.fullmatch(level) else level for level in rest])


def propose(topics: Sequence[str], sample: bytes) -> str:
    """A mapping for payloads like this one. `topics`: those of its shape, without a topic none."""
    try:
        value = _parse(sample)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""
    each, item = _item(value)
    if not isinstance(item, dict):
        return ""
    leaves = list(_leaves(item))[:_SIZE]
    lines: list[str] = []
    patterns = sorted({_pattern(topic) for topic in topics if topic})
    if patterns:
        lines.append(f"topics: [{', '.join(map(_quoted, patterns[:10]))}]")
    if each:
        lines.append(f"each: {_quoted(each)}  # one message for each item")
    named = any("{device}" in pattern for pattern in patterns)
    device = _first(leaves, _DEVICE, _is_name)
    if device and not named:
        lines.append(f"device: {_quoted(device)}")
    elif not named:
        lines.append("# device: PATH  # nothing here looks like a device's name")
    taken = {device} if device and not named else set[str]()
    for key, names, fits in (
        ("time", _TIME, _is_time),
        ("sequence", _SEQUENCE, _is_count),
    ):
        path = _first(leaves, names, fits)
        if path:
            lines.append(f"{key}: {_quoted(path)}")
            taken.add(path)
    lat, lon = _first(leaves, _LAT, _is_number), _first(leaves, _LON, _is_number)
    if lat and lon:
        lines.append(f"position: {{lat: {_quoted(lat)}, lon: {_quoted(lon)}}}")
        taken |= {lat, lon}
    lines += _fields(leaves, taken)
    lines.append("rest: keep  # what no rule names is kept by its path; or drop")
    return "\n".join(lines) + "\n"


def _fields(leaves: Sequence[tuple[str, Any]], taken: set[str]) -> list[str]:
    lines: list[str] = []
    names = [path.rpartition(".")[2] for path, _ in leaves]
    for path, value in leaves:
        last = path.rpartition(".")[2]
        name = last if names.count(last) == 1 else path
        if path not in taken and name != path and _is_number(value) and not last.isdigit():
            lines.append(f"  {_quoted(name)}: {_quoted(path)}  # {str(value)[:40]}")
    return ["fields:", *lines[:50]] if lines else []


def _item(value: Any) -> tuple[str, Any]:
    """Where the items are, if there are several, and the first of them."""
    if isinstance(value, list):
        return ".", value[0] if value else None  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, dict):
        lists = [
            (key, item) for key, item in value.items() if isinstance(item, list) and item and isinstance(item[0], dict)
        ]  # pyright: ignore[reportUnknownVariableType]
        if len(lists) == 1:  # pyright: ignore[reportUnknownArgumentType]
            return str(lists[0][0]), lists[0][1][0]  # pyright: ignore[reportUnknownArgumentType]
    return "", value


def _leaves(value: Any, prefix: str = "", depth: int = 0) -> Iterable[tuple[str, Any]]:
    if depth > 8:
        return
    pairs: Iterable[tuple[Any, Any]]
    if isinstance(value, dict):
        pairs = value.items()  # pyright: ignore[reportUnknownVariableType]
    elif isinstance(value, list):
        pairs = enumerate(value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    else:
        yield prefix, value
        return
    for key, item in pairs:  # pyright: ignore[reportUnknownVariableType]
        yield from _leaves(item, f"{prefix}.{key}" if prefix else str(key), depth + 1)


def _first(leaves: Sequence[tuple[str, Any]], names: Sequence[str], fits: Callable[[Any], bool]) -> str:
    for name in names:
        for path, value in leaves:
            if path.rpartition(".")[2].lower() == name and fits(value):
                return path
    return ""


def _is_name(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _is_time(value: Any) -> bool:
    return instant(value) is not None


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _pattern(topic: str) -> str:
    """The shape, with its last varying level naming the device."""
    levels = shape_of(topic).split("/")
    for place in range(len(levels) - 1, -1, -1):
        if levels[place] == "+":
            levels[place] = "{device}"
            break
    return "/".join(levels)


def _quoted(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else msgspec.json.encode(text).decode()
