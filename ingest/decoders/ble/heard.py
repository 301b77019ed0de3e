"""What a gateway heard of a tag: one advert of one radio, with the signal strength and what the maker's format says.

In: the tag's address, its advert's AD structures, the gateway. Out: a `Draft` to which the gateway may add. An advert
that no maker's format fits is still a sign of life: its bytes are the text `data`.
"""

from headwater.errors import Rejected
from headwater.message import Heard
from ingest.contract import Payload
from ingest.decoders.ble.advert import read_ad
from ingest.decoders.ble.known import read
from ingest.decoders.ble.makers.ruuvi import COMPANY as RUUVI
from ingest.decoders.ble.makers.ruuvi import ruuvi
from ingest.decoders.ble.reading import Key
from ingest.decoders.ble.ruuvi_tag import fill
from ingest.decoders.draft import Draft, as_float
from ingest.decoders.naming import mac_name


def tag(payload: Payload, gateway: str, address: str, rssi: object) -> Draft:
    """The beginning: who it is, who heard it, how loud."""
    if not address:
        raise Rejected("missing_device", "the gateway does not say which tag it heard: there is no address")
    draft = Draft(payload, mac_name(address))
    loud = as_float(rssi)
    draft.put("rssi", loud)
    if gateway:
        draft.heard_by.append(Heard(mac_name(gateway), loud))
    return draft


def say(draft: Draft, advert: bytes, key: Key) -> None:
    """Add what the advert says. Raises `Rejected`: encrypted, cut short."""
    found = read_ad(advert, draft.device)
    own = found.manufacturer.get(RUUVI)
    if own is not None:
        fill(draft, ruuvi(own, found.address, key))
        return
    reading = read(found, key)
    draft.put("local_name", found.local_name)
    if reading is None:
        if advert:
            draft.put("data", advert.hex())
        return
    for name, value in reading.values.items():
        if value is None:
            draft.note(name, "no value: the sensor or probe is not there, or not ready")
        else:
            draft.put(name, value)
    draft.texts["type"] = draft.texts["model"] = reading.model


def hexadecimal(text: object) -> bytes:
    """The bytes of hexadecimal digits. Raises `Rejected`."""
    try:
        return bytes.fromhex(text) if isinstance(text, str) else b""
    except ValueError:
        raise Rejected("bad_value", "the advert is not hexadecimal") from None
