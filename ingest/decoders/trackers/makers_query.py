"""OpenGTS, PathAway, RF-Track, VLT and Piligrim: trackers that report in parameters, each known by one of them.

In: the parameters of a request, and its body. Out: messages; None where no parameter is theirs. Speeds in m/s.
`gprmc`: an NMEA 0183 sentence. `LOC`: PathAway's `$PWS`. `gps` and `i`: RF-Track's JSON in parameters. `vltdata`: fixed
columns (AIS 140). Piligrim: `/bingps` with `imei` and records in the body, `/push.do` with a sentence in `message`.
Formats: NMEA 0183, OpenGTS's gprmc server, AIS 140; the others as Traccar's decoders have them.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from headwater.errors import Rejected
from headwater.message import Message
from ingest.contract import Payload
from ingest.decoders.clocks import instant
from ingest.decoders.draft import Draft, as_float
from ingest.decoders.naming import device_name
from ingest.decoders.trackers.reading import meant, read_json
from ingest.decoders.units import normal

Parameters = Mapping[str, str]

_SENTENCE = re.compile(
    r"\$G[PNL]RMC,(\d{6})(?:\.\d+)?,([AV]),(\d{1,2})(\d\d(?:\.\d+)?),([NS]),(\d{1,3})(\d\d(?:\.\d+)?),([EW]),"
    r"(\d+(?:\.\d+)?)?,(\d+(?:\.\d+)?)?,(\d{6})"
)
_VLT = re.compile(
    r"(\d\d)([HL])([01])(\d{6})(\d{6})(\d{3}\.\d{6})([NS])(\d{3}\.\d{6})([EW])(\d{3})(x*\d+)([0-9a-fA-F]{4})(\d{9})"
    r"(\d{3}\.\d\d)(\d{3}\.\d\d)(\d\d)(\d\d)(\d\d)([01])([01])([HMS])"
)
_VLT_SIZE = 78
_IMEI = 15
_PLACES = frozenset({0xF1, 0xF2})
_LEAST = 21
_HIDDEN = {"pass", "password", "Password", "gprmc", "id", "dev", "acct", "alt"}
_MOST_RECORDS = 1000


def by_parameters(payload: Payload, values: Parameters) -> Sequence[Message | Rejected] | None:
    """Whose parameters these are decides; raises `Rejected`."""
    if "gprmc" in values:
        return (_open_gts(payload, values),)
    if "LOC" in values:
        return (_path_away(payload, values),)
    if "vltdata" in values:
        return _vlt(payload, values["vltdata"])
    if "gps" in values and "i" in values:
        return (_rf_track(payload, values),)
    if "phoneNumber" in values:
        return (_piligrim_sentence(payload, values),)
    return None


def _sentence(draft: Draft, text: str, alt: Any = None) -> None:
    """`$GPRMC`: time, validity, place in degrees and minutes, speed in knots, course, date."""
    found = _SENTENCE.search(text)
    if found is None:
        raise Rejected("bad_value", "there is no whole $GPRMC sentence in it")
    time, valid, lat, lat_minutes, north, lon, lon_minutes, east, speed, course, date = found.groups()
    draft.at = _when(date, time)
    if speed:
        draft.put("speed", normal(float(speed), "kn"))
    draft.number("course", course)
    if valid == "V":
        draft.note("position", "the device says that it is not valid")
        return
    latitude = (int(lat) + float(lat_minutes) / 60) * (1 if north == "N" else -1)
    longitude = (int(lon) + float(lon_minutes) / 60) * (1 if east == "E" else -1)
    draft.place(round(latitude, 8), round(longitude, 8), alt)


def _when(date: str, time: str) -> int | None:
    """Days, months, years of two digits each; hours, minutes, seconds."""
    try:
        moment = datetime.strptime(date + time, "%d%m%y%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return round(moment.timestamp()) * 1_000_000


def _open_gts(payload: Payload, values: Parameters) -> Message:
    own = values.get("id") or "/".join(values[name] for name in ("acct", "dev") if name in values)
    draft = Draft(payload, device_name(own) if own else "")
    for name, text in values.items():
        if name not in _HIDDEN:
            draft.put(name, meant(text))
    level = draft.fields.get("batt")
    if level is not None and 0 <= level <= 100:
        draft.put("battery", level)
    _sentence(draft, values["gprmc"], values.get("alt"))
    return draft.message()


def _path_away(payload: Payload, values: Parameters) -> Message:
    """`$PWS,version,"name",icon,colour,date,time,lat,lon,altitude,speed,course,"comment",…`."""
    own = values.get("UserName", "")
    draft = Draft(payload, device_name(own) if own else "")
    parts = [part.strip('"') for part in values["LOC"].split(",")]
    if parts[0] != "$PWS" or len(parts) < 12:
        raise Rejected("bad_value", "PathAway's `LOC` begins with $PWS and has twelve parts or more")
    draft.put("name", parts[2])
    draft.at = _when(parts[5], parts[6])
    draft.number("speed", parts[10])
    draft.number("course", parts[11])
    draft.put("comment", parts[12] if len(parts) > 12 else None)
    draft.place(parts[7], parts[8], parts[9])
    return draft.message()


def _vlt(payload: Payload, text: str) -> Sequence[Message | Rejected]:
    kind, imei, rest = text[:3], text[3 : 3 + _IMEI], text[3 + _IMEI :]
    if kind == "BTH":
        rest = rest[3:]
    elif kind != "NRM":
        raise Rejected("unsupported", "of VLT's messages only NRM and BTH say where it is")
    records = [rest[at : at + _VLT_SIZE] for at in range(0, len(rest), _VLT_SIZE)][:_MOST_RECORDS]
    made: list[Message | Rejected] = []
    for record in records or [""]:
        found = _VLT.match(record)
        if found is None:
            made.append(Rejected("bad_value", f"a record of VLT's has {_VLT_SIZE} characters in fixed columns"))
        else:
            made.append(_vlt_record(payload, imei, found.groups()))
    return made


def _vlt_record(payload: Payload, imei: str, parts: Sequence[str]) -> Message:
    event, history, valid, date, time, lat, north, lon, east, mcc, mnc, lac, cid = parts[:13]
    draft = Draft(payload, device_name(imei))
    draft.at = _when(date, time)
    draft.put("event", int(event))
    draft.put("archive", history == "H")
    draft.put("speed", normal(float(parts[13]), "km/h"))
    draft.put("course", float(parts[14]))
    for name, digits in zip(("satellites", "hdop", "cell.signal"), parts[15:18], strict=True):
        draft.put(name, int(digits))
    draft.fields |= {"cell.mcc": int(mcc), "cell.mnc": int(mnc.lstrip("x")), "cell.lac": int(lac, 16)}
    draft.fields |= {"cell.cid": int(cid), "ignition": parts[18] == "1", "charging": parts[19] == "1"}
    draft.put("motion", parts[20] == "M")
    if valid == "1":
        draft.place(float(lat) * (1 if north == "N" else -1), float(lon) * (1 if east == "E" else -1))
    else:
        draft.note("position", "the device says that it is not valid")
    return draft.message()


def _rf_track(payload: Payload, values: Parameters) -> Message:
    draft = Draft(payload, device_name(values["i"]))
    draft.at = instant(values.get("t"))
    draft.put("firmware", values.get("v"))
    battery = as_float(values.get("bat"))
    if battery is not None:
        draft.fields |= {"battery": int(battery) & 0xFF, "plug_status": int(battery) >> 8 & 15}
        draft.put("charging", int(battery) >> 12 & 15 == 1)
    for parameter, name in (("dbm", "rssi"), ("bar", "pressure"), ("id", "bracelet_id"), ("u_ids", "unpaired_ids")):
        draft.number(name, values.get(parameter))
    for parameter in ("gsm", "wifi"):
        if parameter in values:
            draft.tree(read_json(values[parameter].encode()), parameter)
    place = read_json(values["gps"].encode())
    if not isinstance(place, dict):
        raise Rejected("bad_shape", "RF-Track's `gps` is an object")
    found: dict[str, Any] = place
    draft.place(found.get("y"), found.get("x"), found.get("z"), found.get("a"))
    return draft.message()


def _piligrim_sentence(payload: Payload, values: Parameters) -> Message:
    draft = Draft(payload, device_name(values["phoneNumber"].strip(" +")))
    text = values.get("message", "")
    draft.put("message", text)
    _sentence(draft, text)
    return draft.message()


def piligrim_records(payload: Payload, imei: str) -> Sequence[Message | Rejected]:
    """The body of `/bingps`: FF, kind, size of the whole record, what it says; raises `Rejected`."""
    data, made = payload.data, list[Message | Rejected]()
    made += [_piligrim(payload, imei, record) for kind, record in _records(data) if kind in _PLACES]
    if not made:
        raise Rejected("bad_shape", "there is no whole record of Piligrim's with a place in it")
    return made


def _records(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    for _ in range(_MOST_RECORDS):
        size = data[at + 2] if data[at : at + 1] == b"\xff" and at + 3 <= len(data) else 0
        if size < _LEAST or at + size > len(data):
            return
        yield data[at + 1], data[at + 3 : at + size]
        at += size


def _piligrim(payload: Payload, imei: str, body: bytes) -> Message:
    """Day, year since 2010 and month, time; degrees and minutes, their fractions; flags, satellites; sensors."""
    draft = Draft(payload, device_name(imei) if imei else "")
    day, month, year = body[0], body[1] & 15, 10 + (body[1] >> 4)
    draft.at = _when(f"{day:02}{month:02}{year:02}", f"{body[2]:02}{body[3]:02}{body[4]:02}")
    lat, lon = (body[at] + body[at + 1] / 60 + body[at + 2] / 6000 + body[at + 3] / 600_000 for at in (5, 9))
    flags, satellites, speed, course, hundredths = body[13:18]
    draft.put("satellites", satellites)
    draft.put("speed", normal(speed, "kn"))
    draft.put("course", (course << 1) + (flags >> 2 & 1) + hundredths / 100)
    draft.put("sensors", body[18:].hex())
    if satellites >= 3:
        draft.place(round(-lat if flags & 1 else lat, 7), round(-lon if flags & 2 else lon, 7))
    else:
        draft.note("position", "fewer than three satellites")
    return draft.message()
