"""Leaf Spy, PUI, hoopo, SPOT, OpenGTS and a dozen more: trackers with a form of their own, told apart by what is in it.

`?decoder=tracker_misc`; PUI's topic is `Pui`. Leaf Spy (an app for electric cars) sends parameters, by GET:

    ?user=driver&Lat=60.0&Long=30.0&Elv=5&SOC=99.99&Odo=10000&VIN=ZE0-000000&RPM=1000&Tunits=C

Out, Leaf Spy: device `VIN`, else `user`; all by its own names, `battery` is `SOC` (%); temperatures in °C; the
password is dropped. PUI (`{"id": …, "rpt": "loc", "location": {"lat": …, "lon": …}}`): device `id`, `spd` (cm/s) as
`speed` (m/s), `bear`, `ign`. hoopo (`{"deviceId": …, "eventData": {…}}`): all by its own names, `battery`. SPOT's XML
feed: a message each, device `esn` or `messengerId`, with `messageType`, `batteryState`.

OpenGTS (`id` or `acct` and `dev`, `gprmc`: an NMEA sentence, `alt`, `batt`), PathAway (`UserName`, `LOC`), RF-Track,
VLT (`vltdata`), Piligrim; in JSON Outsafe, Ramac, ValTrack, Smartcar, ORBCOMM and Polte; in XML Moovbox: each with its
position, its time, and all else by its own names; `speed` in m/s where the format says its unit.

Formats: Leaf Spy Pro's help (server), SPOT's XML schema 2.0 and public feed, NMEA 0183, OpenGTS's gprmc server, AIS
140, Smartcar's webhooks 4.0, ORBCOMM's IsatData Pro; all others as Traccar's decoders have them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from headwater.errors import Rejected
from headwater.message import Message
from ingest.contract import Payload
from ingest.decoders.clocks import instant
from ingest.decoders.draft import Draft, as_float
from ingest.decoders.naming import device_name
from ingest.decoders.trackers.makers_json import by_members
from ingest.decoders.trackers.makers_query import by_parameters, piligrim_records
from ingest.decoders.trackers.reading import asked, meant, parameters, read_json
from ingest.decoders.trackers.xml_tree import Element, read_xml
from ingest.decoders.units import normal

_LEAF_DONE = {"Lat", "Long", "Elv", "pass", "VIN", "user", "Tunits"}
_SPOT_DONE = {"latitude", "longitude", "altitude", "timestamp", "dateTime", "timeInGMTSecond", "unixTime", "id"}


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """One message, or one for each of SPOT's; raises `Rejected`."""
    data = payload.data.strip()
    if data[:1] == b"<":
        return _xml(payload, read_xml(data))
    if data[:1] == b"\xff":
        return piligrim_records(payload, asked(payload.source).get("imei", ""))
    if data[:1] not in {b"{", b"["}:
        values = {**asked(payload.source), **dict(parameters(data))}
        found = by_parameters(payload, values)
        return (_leaf(payload, values),) if found is None else found
    value = read_json(data)
    if isinstance(value, dict):
        root: dict[str, Any] = value
        if isinstance(root.get("eventData"), dict):
            return (_hoopo(payload, root),)
        if "rpt" in root:
            return (_pui(payload, root),)
        found = by_members(payload, root)
        if found is not None:
            return found
    raise Rejected("unsupported", "this JSON is of no tracker that is known here")


def _leaf(payload: Payload, values: Mapping[str, str]) -> Message:
    if "Lat" not in values and "SOC" not in values:
        raise Rejected("unsupported", "Leaf Spy sends `Lat`, `Long` and `SOC`")
    own = values.get("VIN") or values.get("user") or ""
    draft = Draft(payload, device_name(own) if own else "")
    for name, text in values.items():
        if name not in _LEAF_DONE:
            draft.put(name, meant(text))
    for name in ("VIN", "user"):
        draft.put(name, values.get(name))
    if values.get("Tunits") == "F":
        for name in ("BatTemp", "Amb"):
            if name in draft.fields:
                draft.put(name, normal(draft.fields[name], "F"))
    if "SOC" in draft.fields:
        draft.put("battery", draft.fields["SOC"])
    draft.place(values.get("Lat"), values.get("Long"), values.get("Elv"))
    return draft.message()


def _pui(payload: Payload, values: Mapping[str, Any]) -> Message:
    if values["rpt"] not in ("hf", "loc"):
        raise Rejected("unsupported", "of PUI's reports only `hf` and `loc` say where it is")
    draft = Draft(payload, _named(values, "id"))
    draft.at = instant(values.get("ts"))
    for name in ("rpt", "bear", "ign"):
        draft.put(name, values.get(name))
    speed = as_float(values.get("spd"))
    draft.put("speed", None if speed is None else speed / 100)
    place = values.get("location")
    found: dict[str, Any] = place if isinstance(place, dict) else {}
    draft.place(found.get("lat"), found.get("lon"))
    return draft.message()


def _hoopo(payload: Payload, values: Mapping[str, Any]) -> Message:
    draft = Draft(payload, _named(values, "deviceId"))
    draft.at = instant(values.get("eventTime"))
    event: dict[str, Any] = values["eventData"]
    for name, value in event.items():
        if name not in {"latitude", "longitude"}:
            draft.tree(value, name)
    for name in ("assetName", "assetType", "address", "movement"):
        draft.tree(values.get(name), name)
    draft.put("battery", as_float(event.get("batteryLevel")))
    draft.place(event.get("latitude"), event.get("longitude"))
    return draft.message()


def _named(values: Mapping[str, Any], name: str) -> str:
    own = values.get(name)
    return device_name(str(own)) if isinstance(own, str | int) and own != "" else ""


def _xml(payload: Payload, root: Element) -> Sequence[Message | Rejected]:
    return _moovbox(payload, root) if root.name == "gps" else _spot(payload, root)


def _moovbox(payload: Payload, root: Element) -> Sequence[Message]:
    """Its `latitude` is the longitude, and the other way round, as its gateways send them."""
    own = root.attributes.get("id", "")
    made: list[Message] = []
    for item in root.all("coordinate"):
        values = item.values()
        draft = Draft(payload, device_name(own) if own else "")
        draft.at = instant(values.get("time"))
        for name, text in values.items():
            if name not in {"time", "latitude", "longitude", "altitude"}:
                draft.number(name, text)
        draft.place(values.get("longitude"), values.get("latitude"), values.get("altitude"))
        made.append(draft.message())
    return made


def _spot(payload: Payload, root: Element) -> Sequence[Message | Rejected]:
    messages = root.all("message")
    if not messages:
        raise Rejected("unsupported", f"`{root.name[:40]}` has no `message` in it")
    made: list[Message | Rejected] = []
    for message in messages:
        try:
            made.append(_spot_message(payload, message.values()))
        except Rejected as error:
            made.append(error)
    return made


def _spot_message(payload: Payload, values: Mapping[str, str]) -> Message:
    own = values.get("esn") or values.get("messengerId") or values.get("esnName") or ""
    draft = Draft(payload, device_name(own) if own else "")
    times = (values.get(name) for name in ("timestamp", "timeInGMTSecond", "unixTime", "dateTime"))
    draft.at = next((at for text in times if (at := instant(text)) is not None), None)
    if 0 < len(values.get("id", "")) <= 64 and values["id"].isprintable():
        draft.id = values["id"]
    for name, text in values.items():
        if name not in _SPOT_DONE:
            draft.put(name, text)
    draft.place(values.get("latitude"), values.get("longitude"), values.get("altitude"))
    return draft.message()
