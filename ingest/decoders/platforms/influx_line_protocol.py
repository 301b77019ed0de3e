"""InfluxDB line protocol: what Telegraf, many firmwares and everything that wrote to an InfluxDB send.

By HTTP `?decoder=influx_line_protocol`, with `&precision=` ns, us, ms, s, m or h as for InfluxDB's own `/write`; by
MQTT below `telegraf/HOST/`. One line is one message; a line that is none is refused by its number, others are taken.

    weather,device=roof,site=north temperature=21.5,raining=false 1763700000000000000

Comes out: device `roof`, fields `weather.temperature` = 21.5 and `weather.raining` = false, tags as texts. The device
is the tag `device`, `device_id`, `sensor_id`, `host` or the like, else that of the topic or path. `battery` and `rssi`
stand without their measurement. Without a precision the size of the time tells its unit; a time before 2001 is none.

Source of the format: "Line protocol" in the InfluxDB documentation, and the parser of Telegraf.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs

from headwater.errors import Rejected
from headwater.message import Message
from ingest.contract import Payload
from ingest.decoders.clocks import instant
from ingest.decoders.draft import Draft, shared
from ingest.decoders.many import each
from ingest.decoders.naming import device_name
from ingest.decoders.parts import short
from ingest.decoders.platforms import telegraf_json
from ingest.decoders.platforms.lines import Line, lines
from ingest.decoders.platforms.tags import device_tag

_FACTORS = {"ns": 1e-3, "n": 1e-3, "us": 1, "u": 1, "µ": 1, "ms": 1e3, "s": 1e6, "m": 60e6, "h": 3600e6}
_BARE = frozenset({"battery", "rssi"})
_VALUE = rb'(?:"|(?:[-+.]?[0-9]++[0-9.eE+-]*+[iu]?+|[tT](?:rue|RUE)?+|[fF](?:alse|ALSE)?+)(?=[, \r\n]|\Z))'
_FIRST = re.compile(rb'\s*+[^\s,{\["<#][^\n"]{0,4096}? [^\s=,"]++=' + _VALUE)


def recognises(data: bytes) -> bool:
    """A first line with a measurement, a blank, and a field with a value."""
    return _FIRST.match(data) is not None


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """A message or rejection for each line."""
    if not payload.data.strip():
        return ()
    if payload.data.lstrip()[:1] in (b"{", b"["):
        return telegraf_json.decode(payload)
    try:
        text = payload.data.decode()
    except UnicodeDecodeError:
        raise Rejected("bad_encoding", "line protocol is UTF-8") from None
    factor = _factor(payload.source.query)
    return each(lines(text), lambda line: _message(payload, line, factor))


def _message(payload: Payload, line: Line | int, factor: float | None) -> list[Message]:
    if isinstance(line, int):
        raise Rejected("bad_value", f"line {line} is none of line protocol: `measurement,tag=text field=1.5 time`")
    device = device_tag(line.tags)
    draft = Draft(payload, device_name(device) if device else "")
    for key, text in line.tags.items():
        draft.put(key, text)
    measurement = shared(line.measurement)
    for key, value in line.fields.items():
        draft.put(key if key in _BARE else f"{measurement}.{key}", value)
    _place(draft, line.fields)
    if line.time is not None:
        draft.at = instant(line.time) if factor is None else _moment(line.time * factor)
    return draft.messages()


def _place(draft: Draft, fields: Mapping[str, Any]) -> None:
    if "lat" in fields:
        draft.place(fields["lat"], fields.get("lon", fields.get("lng")), fields.get("alt"))
    elif "latitude" in fields:
        draft.place(fields["latitude"], fields.get("longitude"), fields.get("altitude"))


def _moment(microseconds: float) -> int | None:
    return round(microseconds) if 0 < microseconds < 1 << 56 else None


@lru_cache(maxsize=256)
def _factor(query: str) -> float | None:
    """Microseconds of a unit of the query's precision; None: it names none. Raises `Rejected`."""
    try:
        unit = parse_qs(query, max_num_fields=100).get("precision", [""])[-1]
    except ValueError:
        return None
    if not unit:
        return None
    if unit not in _FACTORS:
        raise Rejected("bad_value", f"precision is ns, us, ms, s, m or h, not {short(unit)}")
    return _FACTORS[unit]
