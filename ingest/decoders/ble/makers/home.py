"""Around the house: Chef iQ, SmartDry, Hörmann, Grundfos, Kegtron, Oras and Garnet.

In: manufacturer or service data. Out: values by name. Source of the layouts: github.com/custom-components/ble_monitor.
"""

from struct import unpack

from ingest.decoders.ble.advert import Advert
from ingest.decoders.ble.reading import Reading, Values, coin_cell
from ingest.decoders.draft import numeric

_PUMP = (
    "Constant speed level 3",
    "Constant speed level 2",
    "Constant speed level 1",
    "Autoadapt",
    "Proportional pressure level 1",
    "Proportional pressure level 2",
    "Proportional pressure level 3",
    "Constant differential pressure level 1",
    "Constant differential pressure level 2",
    "Constant differential pressure level 1",
)
_KEGS = {
    9464: "Half Corny (2.5 gal)",
    18927: "Corny (5.0 gal)",
    19711: "1/6 Barrel (5.167 gal)",
    19550: "1/6 Barrel (5.167 gal)",
    20000: "20L (5.283 gal)",
    20457: "Pin (5.404 gal)",
    29337: "1/4 Barrel (7.75 gal)",
    40915: "Firkin (10.809 gal)",
    50000: "50L (13.209 gal)",
    58674: "1/2 Barrel (15.5 gal)",
}
_TANKS = (
    "fresh tank",
    "black tank",
    "grey tank",
    "lpg tank",
    "lpg tank 2",
    "galley tank",
    "galley tank 2",
    "temperature",
    "temperature probe 2",
    "temperature probe 3",
    "temperature probe 4",
    "chemical tank",
    "chemical tank 2",
    "voltage",
)
_NO_PROBE = 0x7FF0
_NO_PROBE_3 = 0xFE


def chef_iq(_: Advert, data: bytes) -> Reading | None:
    """CQ60: battery, third probe in whole degrees, five more in tenths."""
    if len(data) != 18:
        return None
    battery, third, meat, tip, first, second, ambient = unpack("<BBxxHHHHH", data[2:16])
    values: Values = {
        "battery": battery,
        "meat_temperature": _tenths(meat),
        "temperature_probe_tip": _tenths(tip),
        "temperature_probe_1": _tenths(first),
        "temperature_probe_2": _tenths(second),
        "temperature_probe_3": float(third) if third < _NO_PROBE_3 else None,
        "ambient_temperature": _tenths(ambient),
    }
    return Reading("Chef iQ", "CQ60", values)


def _tenths(raw: int) -> float | None:
    return None if raw >= _NO_PROBE else round(raw / 10, 1)


def smart_dry(_: Advert, data: bytes) -> Reading | None:
    """Two floats, shaking, voltage; the last byte's meaning depends on whether it is awake."""
    if len(data) != 12:
        return None
    temperature, humidity, shake, raw = unpack("<ffHH", data)
    values: Values = {"temperature": temperature, "humidity": humidity, "shake": shake}
    if data[11] in {0, 6}:
        volts = raw / 1000 if data[11] == 6 else raw + 1792 / 1000
        values |= {"switch": data[11] == 6, "voltage": volts, "battery": coin_cell(volts)}
    return Reading("SmartDry", "SmartDry cloth dryer", values)


def hormann(advert: Advert, _: bytes) -> Reading | None:
    """Company 07b4: two frames, the longer has the door's opening in half percent."""
    for kind, whole in advert.structures:
        if kind == 0xFF and len(whole) == 19 and whole[:2] == b"\xb4\x07":
            share = whole[3] / 2
            values: Values = {"opening": share != 0, "opening_percentage": share}
            return Reading("Hörmann", "Supramatic E4 BS", values)
    return None


def grundfos(_: Advert, data: bytes) -> Reading | None:
    """MI401, the reader of an Alpha pump."""
    if len(data) != 19:
        return None
    packet, battery, pump, flow, pressure, mode, temperature = unpack("<BBHHhxBB", data[2:13])
    values: Values = {
        "flow": round(flow / 6.5534, 1),
        "water_pressure": round(pressure / 32767, 3),
        "temperature": temperature,
        "pump_mode": _PUMP[mode] if mode < len(_PUMP) else f"mode {mode}",
        "pump_id": pump,
        "battery_status": battery,
    }
    return Reading("Grundfos", "MI401", values, packet)


def kegtron(_: Advert, data: bytes) -> Reading | None:
    """KT-100, KT-200: keg, volume at first, dispensed (ml), port, its name."""
    if len(data) != 27:
        return None
    size, start, dispensed, port, name = unpack(">HHHB20s", data)
    index = 2 if port & 16 else 1
    values: Values = {
        "keg_size": _KEGS.get(size, f"Other ({size / 1000} L)"),
        "volume_start": start / 1000,
        "port_state": "configured" if port & 1 else "unconfigured (new device)",
        "port_index": index,
        "port_count": "Dual port device" if port & 64 else "Single port device",
        "port_name": name.decode("utf-8", "replace").rstrip("\0"),
        f"volume_dispensed_port_{index}": dispensed / 1000,
    }
    return Reading("Kegtron", "Kegtron KT-200" if port & 64 else "Kegtron KT-100", values)


def oras(_: Advert, data: bytes) -> Reading | None:
    """Company 0131: an Oras faucet's battery and serial number, or a Garnet tank's level in ASCII."""
    if len(data) == 18:
        serial = data[3:13].decode("ascii", "replace").strip("\0 ")
        return Reading("Oras", "Electra Washbasin Faucet", {"battery": data[1], "serial": serial})
    if len(data) != 14 or data[3] >= len(_TANKS):
        return None
    text, alarm = data[4:7].decode("ascii", "replace"), data[13:14].decode("ascii", "replace")
    name = _TANKS[data[3]].replace(" ", "_")
    values: Values = {"problem": int(alarm) if alarm.isdecimal() else None}
    level = numeric(text)
    if level is None:  # OPN, ERR …: the maker's error codes
        values |= {name: None, f"{name}_error": text.strip()}
    else:
        values[name] = level / 10 if name == "voltage" else level
    return Reading("Garnet", "SeeLevel II 709-BTP3", values)
