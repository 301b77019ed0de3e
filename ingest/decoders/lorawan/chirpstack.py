"""What both versions of ChirpStack share: which event it is, the answer about charge and margin, a downlink.

In: an event's JSON. Out: what of it goes into a `Draft`.
"""

from typing import Any
from urllib.parse import parse_qs

from ingest.contract import Payload
from ingest.decoders.draft import Draft, as_float
from ingest.decoders.lorawan.network import base64, numbers, part, texts


def event_of(payload: Payload) -> str:
    """The event that the topic ends in, or that the query of the HTTP integration names, or ""."""
    if payload.source.topic:
        return payload.source.topic.rpartition("/")[2]
    query = payload.source.query
    return parse_qs(query).get("event", [""])[-1] if "event=" in query else ""


def status(draft: Draft, event: dict[str, Any]) -> None:
    """A DevStatusAns: the charge in percent, or why there is none; and how well the device hears, in dB."""
    draft.kind = "status"
    numbers(draft, (("margin", event.get("margin")), ("externalPowerSource", event.get("externalPowerSource"))))
    if event.get("batteryLevelUnavailable") is True:
        draft.note("battery", "the device cannot measure it")
        return
    charge = as_float(event.get("batteryLevel"))
    if event.get("externalPowerSource") is not True and charge is not None and 0 <= charge <= 100:
        draft.fields["battery"] = draft.fields["batteryLevel"] = charge


def located(draft: Draft, event: dict[str, Any]) -> None:
    """Where the server has found the device to be."""
    happened(draft, "location")
    place = part(event.get("location"))
    draft.place(place.get("latitude", 0), place.get("longitude", 0), place.get("altitude"), place.get("accuracy"))
    texts(draft, (("source", place.get("source")),))
    numbers(draft, (("fCnt", event.get("fCnt")),))


def integrated(draft: Draft, event: dict[str, Any]) -> None:
    """What a service behind the server, such as LoRa Cloud, has to say."""
    happened(draft, "integration")
    texts(draft, (("integrationName", event.get("integrationName")), ("eventType", event.get("eventType"))))
    draft.tree(part(event.get("object")))


def command(draft: Draft, event: dict[str, Any]) -> None:
    """A downlink that somebody has asked for."""
    draft.kind = "command"
    numbers(draft, (("fPort", event.get("fPort")), ("confirmed", event.get("confirmed"))))
    data = base64(event.get("data"))
    texts(draft, (("frm_payload", data.hex() if data else ""), ("reference", event.get("reference"))))
    draft.tree(part(event.get("object")))


def happened(draft: Draft, name: str) -> None:
    """Make it an event of that name."""
    draft.kind = "event"
    draft.texts["event"] = name
