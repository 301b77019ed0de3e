"""Actility ThingPark: what its network server posts, and IoT Flow publishes: uplinks, places, notifications.

HTTP: JSON or XML, `POST /ingest?decoder=actility_thingpark`, or known by its content. Topics, as IoT Flow has them
unless told otherwise: `mqtt/things/DEVEUI/uplink`, and `…/downlink`, a command.

    {"DevEUI_uplink": {"Time": "2022-10-19T09:03:45.438+00:00", "DevEUI": "6C4756C9BD557121", "FPort": "2",
     "FCntUp": "933", "payload_hex": "78a3", "Lrrs": {"Lrr": [{"Lrrid": "46584253", "LrrRSSI": "-116", …}]}}}

The device is its DevEUI, in lower case. Numbers come as numbers or as texts. Values are those of `payload` where IoT
Flow has decoded it, else the codec of the device's model (`DriverCfg`'s, or the registry's) reads `payload_hex`, which
without a codec is kept as it is. Base stations are in `heard_by`; where they stand (`LrrLAT`, `LrrLON`) is not the
device's place: that comes with `DevEUI_location`. Reports on downlinks, joins and resets are events.

Source: ThingPark documentation, "Uplink Message", "Notification Message"; LoRaWAN 1.0.4, 5.5 (DevStatusAns).
"""

from collections.abc import Sequence
from typing import Any

from headwater.errors import Rejected
from headwater.message import Message
from ingest.contract import Payload
from ingest.decoders.clocks import instant
from ingest.decoders.draft import Draft, as_float
from ingest.decoders.explain import parse
from ingest.decoders.lorawan.network import content, counter, eui, fault, heard, numbers, part, rows, said, texts
from ingest.decoders.trackers.xml_tree import Element, read_xml

TOPICS = ("#/mqtt/things/{device}/uplink", "#/mqtt/things/{device}/downlink")

_TEXTS = ("DevEUI", "DevAddr", "CustomerID")
_NUMBERS = ("FPort", "SpFact", "Frequency", "ADRbit", "DevLrrCnt", "InstantPER", "MeanPER", "LostUplinksAS")


def recognises(data: bytes) -> bool:
    """The document is named for what it is about."""
    return b"DevEUI_" in data[:256]


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """One document, one message."""
    data = payload.data.lstrip()
    if not data:
        return ()
    told = _plain(read_xml(data)) if data[:1] == b"<" else parse(data)
    name, body = _document(told)
    draft = Draft(payload, eui(body.get("DevEUI")))
    draft.at = instant(body.get("Time"))
    _about(draft, body)
    fill = _KINDS.get(name)
    if fill is None:
        _event(draft, name, body)
    else:
        fill(draft, payload, body)
    return draft.messages()


def _document(told: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    for name, body in told.items():
        if name.startswith("DevEUI_") and body.__class__ is dict:
            return name.removeprefix("DevEUI_"), body
    if "DevEUI" in told and ("payload_hex" in told or "FCntUp" in told):
        return "uplink", told
    raise fault(next(iter(told), ""), "ThingPark")


def _plain(element: Element) -> dict[str, Any]:
    """XML as the same document in JSON would be."""

    def body(one: Element) -> Any:
        if not one.inner:
            return one.text
        found: dict[str, Any] = {}
        for inner in one.inner:
            value = body(inner)
            if inner.name == "Lrr":
                found.setdefault("Lrr", []).append(value)
            else:
                found[inner.name] = value
        return found

    return {element.name: body(element)}


def _driver(body: dict[str, Any]) -> tuple[str, str]:
    """Maker and model, "" where they are not said."""
    if "DriverCfg" not in body:
        return "", ""
    driver = part(part(body["DriverCfg"]).get("mod"))
    return said(driver.get("pId")), said(driver.get("mId"))


def _about(draft: Draft, body: dict[str, Any]) -> None:
    texts(draft, [(name, body[name]) for name in _TEXTS if name in body])
    if "CustomerData" in body:
        texts(draft, (("name", part(body["CustomerData"]).get("name")),))
    maker, model = _driver(body)
    if maker or model:
        texts(draft, (("model", model), ("manufacturer", maker)))


def _uplink(draft: Draft, payload: Payload, body: dict[str, Any]) -> None:
    draft.seq = counter(body.get("FCntUp"))
    heard(draft, _stations(body))
    numbers(draft, [(name, body[name]) for name in _NUMBERS if name in body])
    charge = as_float(body.get("BatteryLevel"))
    if charge is not None and 0 <= charge <= 100:
        draft.fields["battery"] = draft.fields["BatteryLevel"] = charge
    data = _hex(body.get("payload_hex"))
    if data and body.get("PayloadEncryption") in (1, "1"):
        raise Rejected("encrypted", "the payload is encrypted by the application's key: let ThingPark decrypt it")
    maker, model = _driver(body)
    names = (f"{maker}/{model}", model) if model else ()
    content(draft, payload, body.get("payload"), data, counter(body.get("FPort", 0)), names)
    if "points" in body:
        draft.tree(part(body["points"]), "points")


def _stations(body: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """Every base station that received it; where none is listed, the best one, which stands outside of the list."""
    listed = body.get("Lrrs")
    found = rows(part(listed).get("Lrr", listed))
    if not found and "Lrrid" in body:
        found = [body]
    return [(eui(one.get("Lrrid")), one.get("LrrRSSI"), one.get("LrrSNR")) for one in found if one.__class__ is dict]


def _hex(value: Any) -> bytes | None:
    try:
        return bytes.fromhex(said(value))
    except ValueError:
        return None


def _location(draft: Draft, payload: Payload, body: dict[str, Any]) -> None:
    del payload
    _event(draft, "location", {})
    draft.at = instant(body.get("DevLocTime")) or draft.at
    draft.place(body.get("DevLAT"), body.get("DevLON"), body.get("DevAlt"), body.get("DevLocRadius"))
    texts(draft, (("NwGeolocAlgo", body.get("NwGeolocAlgo")), ("NwGeolocAlgoUsed", body.get("NwGeolocAlgoUsed"))))
    numbers(draft, (("DevLocRadius", body.get("DevLocRadius")), ("DevAltRadius", body.get("DevAltRadius"))))


def _notification(draft: Draft, payload: Payload, body: dict[str, Any]) -> None:
    """`join`, `reset`, or `devstatusans`, whose first variable is the charge from 1 to 254: 0 is mains, 255 unknown."""
    del payload
    what = said(body.get("Type"))
    _event(draft, "notification", {"Type": what})
    if what != "devstatusans":
        return
    draft.kind = "status"
    level = as_float(body.get("Var1"))
    if level == 0:
        draft.fields["externalPowerSource"] = True
    elif level is not None and 1 <= level <= 254:
        draft.fields["battery"] = round((level - 1) / 253 * 100, 1)
    else:
        draft.note("battery", "the device cannot measure it")
    numbers(draft, (("margin", body.get("Var2")),))


def _downlink(draft: Draft, payload: Payload, body: dict[str, Any]) -> None:
    del payload
    draft.kind = "command"
    numbers(draft, (("FPort", body.get("FPort")), ("Confirmed", body.get("Confirmed"))))
    texts(draft, (("frm_payload", body.get("payload_hex")),))


def _event(draft: Draft, name: str, body: dict[str, Any]) -> None:
    draft.kind = "event"
    draft.texts["event"] = name[:64]
    for key, value in body.items():
        if value.__class__ is str and key not in {"DevEUI", "Time", "DevAddr", "CustomerID", "Lrrid", "Lrcid"}:
            draft.number(key, value)
        elif value.__class__ is int or value.__class__ is float:
            draft.put(key, value)


_KINDS = {"uplink": _uplink, "location": _location, "notification": _notification, "downlink": _downlink}
