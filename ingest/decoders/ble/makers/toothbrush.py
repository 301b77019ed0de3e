"""Oral-B toothbrushes: company 00dc.

In: manufacturer data. Out: `toothbrush` (running), state, pressure, counter (s), mode, sector. Source of the layout:
github.com/custom-components/ble_monitor, github.com/Bluetooth-Devices/oralb-ble.
"""

from ingest.decoders.ble.advert import Advert
from ingest.decoders.ble.reading import Reading, Values

STATES = {
    0: "unknown",
    1: "initializing",
    2: "idle",
    3: "running",
    4: "charging",
    5: "setup",
    6: "flight menu",
    8: "selection menu",
    113: "final test",
    114: "pcb test",
    115: "sleeping",
    116: "transport",
}
_PRESSURE = {114: "normal", 118: "button pressed", 178: "high"}
MODES = {
    0: "off",
    1: "daily clean",
    2: "sensitive",
    3: "massage",
    4: "whitening",
    5: "deep clean",
    6: "tongue cleaning",
    7: "turbo",
    255: "unknown",
}
_IO_MODES = {0: "daily clean", 1: "sensitive", 2: "gum care", 3: "whiten", 4: "intense", 8: "settings"}
_IO = b"\x062k"


def oral_b(_: Advert, data: bytes) -> Reading | None:
    """Protocol and model (3), state, pressure, minutes and seconds, mode, sector, timer, sectors."""
    if len(data) != 11:
        return None
    state, pressure, mode, sector = data[3], data[4], data[7], data[8]
    io = data[:3] == _IO
    modes = _IO_MODES if io else MODES
    values: Values = {
        "toothbrush": state == 3,
        "toothbrush_state": STATES.get(state, f"unknown state {state}"),
        "pressure": _PRESSURE.get(pressure, f"unknown pressure {pressure}"),
        "counter": int.from_bytes(data[5:7], "big"),
        "mode": modes.get(mode, f"unknown mode {mode}"),
        "sector": {254: "last sector", 255: "no sector"}.get(sector, f"sector {sector}"),
        "sector_timer": data[9],
        "number_of_sectors": data[10],
    }
    return Reading("Oral-B", "IO Series 7" if io else "SmartSeries 7000", values)
