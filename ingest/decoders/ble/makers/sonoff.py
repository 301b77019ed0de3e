"""Sonoff S-MATE and R5 switches, which speak through made-up service UUIDs from the address 66:55:44:33:22:11.

In: an advert. Out: the button and how it was pressed; the device's own id is its address. Source of the layout and of
the mask: github.com/custom-components/ble_monitor.
"""

from ingest.decoders.ble.advert import Advert
from ingest.decoders.ble.reading import Reading

ADDRESS = "665544332211"
_MASK = bytes.fromhex("0f39be5f2705bef966b5740d0486d26155bbfc1634407e1d386ee406aa79329566b5740ddb8ce9012a")
_SIDES = ("left", "middle", "right")
_MODELS = {
    0x46: ("S-MATE", tuple(f"three_btn_switch_{side}" for side in _SIDES)),
    0x47: ("R5", tuple(f"six_btn_switch_{row}_{side}" for row in ("top", "bottom") for side in _SIDES)),
}
_PRESS = ("single press", "double press", "long press")


def sonoff(advert: Advert) -> Reading | None:
    """Magic (8), model, two more, device id (4), seed, then masked: button, press, counter (4)."""
    if advert.address not in {"", ADDRESS}:
        return None
    data = next((body for kind, body in advert.structures if kind in {0x05, 0xFF} and body[2:4] == b"\xee\x1b"), b"")
    if len(data) < 23 or data[8] not in _MODELS:
        return None
    plain = bytes(byte ^ data[15] ^ mask for byte, mask in zip(data[16:], _MASK, strict=False))
    model, buttons = _MODELS[data[8]]
    if plain[1] >= len(buttons) or plain[2] >= len(_PRESS):
        return None
    values = {buttons[plain[1]]: "toggle", "button_switch": _PRESS[plain[2]]}
    return Reading("Sonoff", model, values, int.from_bytes(plain[3:7], "big"), f"0000{data[11:15].hex().upper()}")
