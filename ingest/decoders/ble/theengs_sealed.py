"""Encrypted adverts whose key is not known here, in the words of Theengs: whose they are, and what is to be opened.

In: an advert and why it could not be read. Out: brand, model, `cipher`, `ctr`, `mic` in hexadecimal, so that whoever
has the key can open them later; None where Theengs has no model for it, too. Formats: bthome.io/encryption,
github.com/pvvx/ATC_MiThermometer.
"""

from ingest.decoders.ble.advert import Advert
from ingest.decoders.ble.reading import Values
from ingest.decoders.ble.theengs_models import Model

_PVVX_SIZE = 11
_PVVX = Model("Xiaomi", "TH Sensor", "LYWSD03MMC/MJWSD05MMC_PVVX_ENCR", "THB")
_BUTTON = {"acts": True, "cont": True}
_SHELLY = {
    "SBBT-002C": Model("Shelly", "ShellyBLU Button1 encrypted", "SBBT_002C_ENCR", "BTN", _BUTTON),
    "SBDW-002C": Model("Shelly", "ShellyBLU Door/Window encrypted", "SBDW_002C_ENCR", "CTMO", _BUTTON),
    "SBHT-003C": Model("Shelly", "ShellyBLU H&T encrypted", "SBHT-003C_ENCR", "THB", _BUTTON),
    "SBMO-003Z": Model("Shelly", "ShellyBLU Motion encrypted", "SBMO_003Z_ENCR", "CTMO", _BUTTON),
}
_LEAST = 1 + 1 + 4 + 4


def sealed(advert: Advert, why: str) -> tuple[Model, Values] | None:
    """`encr`: 1 is pvvx's form (counter first), 2 that of BTHome 2 (its head, the cipher, counter, check)."""
    data = advert.service_data.get("181a", b"")
    if len(data) == _PVVX_SIZE:
        return _PVVX, _parts(1, data[1:-4], data[:1], data[-4:], why)
    data = advert.service_data.get("fcd2", b"")
    model = next((model for name, model in _SHELLY.items() if advert.local_name.startswith(name)), None)
    if model is None or len(data) < _LEAST:
        return None
    return model, _parts(2, data[1:-8], data[-8:-4], data[-4:], why)


def _parts(form: int, cipher: bytes, counter: bytes, check: bytes, why: str) -> Values:
    return {"encr": form, "cipher": cipher.hex(), "ctr": counter.hex(), "mic": check.hex(), "note.advert": why}
