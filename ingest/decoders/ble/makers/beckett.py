"""R.W. Beckett burner controls (GeniSys, BeckettLink): company 061a, each byte masked with those before it.

In: manufacturer data. Out: `burner_product`, `burner_device`, `burner_serial`, state, last end cause, cycle count.
Source of the layout and of the names: github.com/custom-components/ble_monitor.
"""

from ingest.decoders.ble.advert import Advert
from ingest.decoders.ble.reading import Reading, Values

_PRODUCTS = {0: "Unknown", 1: "Genisys75xx", 2: "Iot7653", 3: "Genisys7505", 4: "Iot7652", 5: "GenisysGas"}
_DEVICES = {0: "Genisys_7505_7575", 64: "Genisys_7556", 96: "Genisys_7559", 128: "Genisys_7580"}
_STATES = {
    1: "Standby",
    2: "MotorRelayTest",
    3: "Prepurge",
    4: "TFI",
    5: "CarryOver",
    6: "Run",
    7: "PostPurge",
    8: "Recycle",
    9: "Lockout",
    10: "PumpPrime",
    11: "MotorRelayFeedbackTest",
    12: "NoIgnitionPrePurge",
}
_ENDED = (
    "NoEndCauseReported",
    "CFHEnded",
    "FlameLoss",
    "",
    "PumpPrime",
    "ManualShutdown",
    "LowVoltage",
    "NoEndCauseReported",
)
_ENDED_ELSE = ("DidNotLight", "FlameLoss", "FlameEndOfPretime", "RelayFailure")
_BOOTLOADER = 0x8000


def beckett(_: Advert, data: bytes) -> Reading | None:
    """Two bytes of mask, then product, device, … connectable, version."""
    plain = _unmask(data)
    if len(plain) < 12:
        return None
    key = int.from_bytes(plain[:2], "big")
    product = _PRODUCTS.get(key & ~_BOOTLOADER)
    device = _DEVICES.get(int.from_bytes(plain[2:4], "big"))
    if product is None or device is None:
        return None
    values: Values = {
        "burner_product": product,
        "burner_device": device,
        "burner_is_bootloader": bool(key & _BOOTLOADER),
        "burner_advertisement_version": plain[-1],
        "burner_connectable": plain[-2] == 0,
    }
    if plain[-1] == 1 and len(plain) >= 20:
        values["burner_serial"] = int.from_bytes(plain[16:20], "big")
    if product == "Genisys7505":
        state, ended = int.from_bytes(plain[4:6], "big"), int.from_bytes(plain[6:8], "big")
        values |= {
            "burner_state": _STATES.get(state, f"state {state}"),
            "burner_last_end_cause": _ENDED[ended & 7] or _ENDED_ELSE[ended >> 3 & 3],
            "burner_cycle_count": int.from_bytes(plain[8:10], "big"),
        }
    return Reading("Beckett", product, values)


def _unmask(data: bytes) -> bytes:
    """Each byte under an exclusive or with the one before it, and the one before that plus its index."""
    if len(data) < 3:
        return b""
    before, last = data[0], data[1]
    plain = bytearray()
    for index, byte in enumerate(data[2:], 2):
        plain.append((byte ^ (before + index) ^ last) & 0xFF)
        before, last = last, byte
    return bytes(plain)
