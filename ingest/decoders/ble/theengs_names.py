"""A reading in the words of Theengs: `tempc`, `hum`, `batt`, and each device's own.

In: an advert and its reading. Out: properties by name. Temperatures come in °C and °F, as its gateways send them.
"""

from collections.abc import Callable
from math import floor
from struct import unpack

from ingest.decoders.ble.advert import Advert
from ingest.decoders.ble.makers.hygrometers import jaalee_beacon
from ingest.decoders.ble.makers.ruuvi import COMPANY as RUUVI
from ingest.decoders.ble.makers.ruuvi import ruuvi
from ingest.decoders.ble.makers.sensirion import sensirion
from ingest.decoders.ble.makers.toothbrush import MODES, STATES
from ingest.decoders.ble.reading import Reading, Value, Values
from ingest.decoders.ble.theengs_models import BY_NAME, MODELS, Model
from ingest.decoders.parts import NUMBERS

_NAMES = {
    "acceleration_x": "accx",
    "acceleration_y": "accy",
    "acceleration_z": "accz",
    "battery": "batt",
    "battery_low": "lowbatt",
    "beacon_model": "beaconmodel",
    "button_count": "push_ct",
    "entrance_count": "in_ct",
    "exit_count": "out_ct",
    "conductivity": "fer",
    "formaldehyde": "for",
    "heart_rate": "bpm",
    "humidity": "hum",
    "illuminance": "lux",
    "level_cm": "lvl_cm",
    "level_in": "lvl_in",
    "light_level": "lightlevel",
    "measurement_sequence": "seq",
    "model_type": "modeltype",
    "moisture": "moi",
    "movement_counter": "mov",
    "opening": "open",
    "opening_percentage": "open",
    "packet_id": "packet",
    "plugged_in": "plugged-in",
    "pressure": "pres",
    "rotation": "rot",
    "scope_tested": "scopetested",
    "sensing_distance": "sensingdistance",
    "tx_power": "tx",
    "uptime": "time",
    "voltage": "volt",
    "weight_unit": "unit",
    "window": "open",
}
_TEMPERATURES = {
    "temperature": ("tempc", "tempf"),
    "temperature_max": ("tempc_max", "tempf_max"),
    "temperature_min": ("tempc_min", "tempf_min"),
    "dewpoint": ("tempc2_dp", "tempf2_dp"),
}
_PRESSED = {
    "press": 1,
    "double press": 2,
    "triple press": 3,
    "quadruple press": 4,
    "quintuple press": 5,
    "long press": 9,
    "release": 10,
    "hold press": 11,
    "event 254": 11,
}
_KEYS = 4
_ACCELERATION = 0.000980665
"""Of a thousandth of g: the unit that Theengs gateways send is 10 m/s²."""
_STATES = STATES | {1: "initialising"}
_SHAKES_FROM = 2847
_AWAKE = 7
_THEENGS = {b"Theengs-iBeacon1": "Theengs 1", b"Theengs-iBeacon2": "Theengs 2"}


def told_by_theengs(advert: Advert, reading: Reading) -> tuple[Model | None, Values]:
    """The model, None where Theengs has none, and its properties."""
    model, values = _model_of(advert, reading), dict(reading.values)
    special = _SPECIAL.get(reading.firmware)
    if special is not None:
        return model, special(advert, values)
    return model, _renamed(values)


def _model_of(advert: Advert, reading: Reading) -> Model | None:
    for start, firmwares, model in BY_NAME:
        if reading.firmware in firmwares and advert.local_name.startswith(start):
            return model
    name = reading.model
    if reading.firmware == "Sensirion":
        name = "Sensirion CO2" if "co2" in reading.values else "Sensirion"
    elif reading.firmware.startswith("Ruuvitag"):
        name = reading.firmware
    elif name == "iBeacon":
        name = _THEENGS.get(advert.manufacturer[0x004C][2:18], name)
    return MODELS.get(name)


def _renamed(values: Values, first: str = "tempc1") -> Values:
    found: Values = {}
    for name, value in values.items():
        probe = name.removeprefix("temperature_probe_")
        if name in _TEMPERATURES:
            found |= _both(*_TEMPERATURES[name], value)
        elif probe != name:
            celsius = first if probe == "1" else f"tempc{probe}"
            found |= _both(celsius, celsius.replace("tempc", "tempf"), value)
        elif not name.startswith(("temperature_alarm", "low_temperature_alarm")):
            found[_NAMES.get(name, name)] = value
    return found


def _both(celsius: str, fahrenheit: str, value: Value) -> Values:
    if not isinstance(value, NUMBERS):
        return {celsius: None}
    return {celsius: value, fahrenheit: round(value * 9 / 5 + 32, 9)}


def _inkbird(_: Advert, values: Values) -> Values:
    outer = "temperature_probe_1" in values and "battery" in values
    if outer:
        values["temperature"] = values.pop("temperature_probe_1")
    found = _renamed(values, first="tempc")
    return found | {"extprobe": outer} if "battery" in values else found


def _inode(advert: Advert, values: Values) -> Values:
    """Mean in kW, or m³ where its owner has named it so; the options' unit is not always set."""
    if "power" not in values:
        return _renamed(values)
    power, energy = values.pop("power"), values.pop("energy")
    unit, _ = values.pop("power_unit"), values.pop("energy_unit")
    water = unit == "m3" or advert.local_name.casefold() in {"water", "gas"}
    mean = power / 1000 if isinstance(power, NUMBERS) else None
    found: Values = {"avg": mean, "avgu": "m³" if water else "kW", "sum": energy, "sumu": "m³" if water else "kWh"}
    return found | _renamed(values)


def _sensirion(advert: Advert, values: Values) -> Values:
    exact = sensirion(advert, advert.manufacturer.get(0x06D5, b""), 8)
    return _renamed(dict(exact.values) if exact is not None else values)


def _smart_dry(advert: Advert, values: Values) -> Values:
    """Theengs reads the last two bytes apart: millivolts above 2847, and 7 for awake."""
    data = advert.manufacturer[0x01AE]
    found = _renamed({name: values[name] for name in ("temperature", "humidity", "shake")})
    return found | {"volt": (data[10] + _SHAKES_FROM) / 1000, "wake": data[11] == _AWAKE}


def _oral_b(advert: Advert, _: Values) -> Values:
    data = advert.manufacturer[0x00DC]
    state, pressure, minutes, seconds, mode, sector = unpack("6B", data[3:9])
    found: Values = {"state": _STATES.get(state, f"state {state}"), "pressure": pressure}
    if mode in MODES:
        found["mode"] = MODES[mode]
    passed = minutes * 60 + seconds
    return found | ({"sector": sector, "duration": passed} if sector <= 8 else {"time": passed})


def _ruuvi(advert: Advert, values: Values) -> Values:
    for axis in ("acceleration_x", "acceleration_y", "acceleration_z"):
        value = values.get(axis)
        if isinstance(value, NUMBERS):
            values[axis] = value * _ACCELERATION
    exact = ruuvi(advert.manufacturer[RUUVI], advert.address)
    values |= {name: exact.get(name) for name in ("temperature", "humidity") if name in exact}
    return _renamed(values)


def _beacon(_: Advert, values: Values) -> Values:
    """The power at 1 m; above 0 it is the battery's voltage in tenths."""
    power = values.pop("measured_power")
    above = isinstance(power, int) and power > 0
    found: Values = {"volt": power / 10} if isinstance(power, int) and above else {"txpower": power}
    return {"mfid": "4c00"} | found | _renamed(values)


def _radioland(advert: Advert, values: Values) -> Values:
    for axis in ("acceleration_x", "acceleration_y", "acceleration_z"):
        value = values[axis]
        if isinstance(value, NUMBERS):
            values[axis] = round(value * 10 * _ACCELERATION, 7)
    return _beacon(advert, values) if "measured_power" in values else _renamed(values)


def _moko(_: Advert, values: Values) -> Values:
    for axis in "xyz":
        value = values.pop(f"acceleration_{axis}", None)
        if isinstance(value, NUMBERS):
            values[f"{axis}_axis"] = round(value * 10 * _ACCELERATION, 9)
    return _renamed(values)


def _tilt(advert: Advert, values: Values) -> Values:
    number = advert.manufacturer[0x004C][5] >> 4
    colours = ("red", "green", "black", "purple", "orange", "blue", "yellow", "pink")
    found: Values = {"color": colours[number - 1], "txpower": values["measured_power"]}
    return found | _renamed({name: values[name] for name in ("temperature", "gravity")})


def _bthome(advert: Advert, values: Values) -> Values:
    """Buttons by number: 1 to 3 presses, 9 long, 11 held; of a switch with four all are said."""
    several = "button_1" in values or (advert.local_name.startswith("SBBT-") and "002C" not in advert.local_name)
    names = [f"button_{number}" for number in range(1, _KEYS + 1)] if several else ["button"]
    found = _renamed({name: value for name, value in values.items() if not name.startswith("button")})
    for name in names:
        press = str(values.get(name) or "").replace("_", " ")
        if several or name in values:
            found[name.replace("_", "")] = _PRESSED.get(press, 0)
    return found


def _parasite(_: Advert, values: Values) -> Values:
    """Shares of 65535, where we take them of 65536."""
    for name in ("humidity", "moisture"):
        value = values[name]
        if isinstance(value, NUMBERS):
            values[name] = value * 65536 / 65535
    return _renamed(values)


def _scale(advert: Advert, values: Values) -> Values:
    """The weight as it stands, stable or not; what is on it, a person or an object."""
    found: Values = {"weight": values["non_stabilized_weight"]}
    unit = values.get("weight_unit")
    first = advert.service_data.get("181d", b"")
    second = advert.service_data.get("181b", b"")
    if second and second[1] & 2:
        found["impedance"] = int.from_bytes(second[9:11], "little")
    thing = second[0] & 4 if second else first[0] & 0x40
    return found | {"unit": "lb" if unit == "lbs" else unit, "weighing_mode": "object" if thing else "person"}


def _kkm(_: Advert, values: Values) -> Values:
    """Hundredths, the rest cut off."""
    for name in ("temperature", "humidity"):
        value = values.get(name)
        if isinstance(value, NUMBERS):
            values[name] = floor(value * 100) / 100
    return _renamed(values)


def _jaalee(advert: Advert, values: Values) -> Values:
    data = advert.manufacturer.get(0x004C, b"")
    return _renamed(dict(jaalee_beacon(data, 8).values) if len(data) == 24 else values)


def _band(_: Advert, values: Values) -> Values:
    found: Values = {"act_bpm": values["heart_rate"]}
    return found | ({"steps": values["steps"]} if "steps" in values else {})


def _tyre(_: Advert, values: Values) -> Values:
    """Pressure in bar."""
    pressure = values["pressure"]
    if isinstance(pressure, NUMBERS):
        values["pressure"] = pressure / 1000
    return _renamed(values) | {"unit.pres": "bar"}


def _qingping(_: Advert, values: Values) -> Values:
    """The light that a motion sensor tells of is that of its motion."""
    if "light" in values and "illuminance" not in values:
        values["motion"] = values.pop("light")
    return _renamed(values)


_SPECIAL: dict[str, Callable[[Advert, Values], Values]] = {
    "April Brother": _beacon,
    "BTHome V2": _bthome,
    "b-parasite V1.0.0 (without illuminance)": _parasite,
    "b-parasite V1.1.0 (with illuminance)": _parasite,
    "Jaalee": _jaalee,
    "KKM": _kkm,
    "Mi Band": _band,
    "Mi Scale V1": _scale,
    "Mi Scale V2": _scale,
    "MOKO (Beacon)": _moko,
    "MOKO (BeaconX Pro)": _moko,
    "NodOn": _bthome,
    "Qingping": _qingping,
    "Radioland": _radioland,
    "TPMS": _tyre,
    "iBeacon": _beacon,
    "Inkbird": _inkbird,
    "iNode": _inode,
    "Oral-B": _oral_b,
    "Ruuvitag V3": _ruuvi,
    "Ruuvitag V5": _ruuvi,
    "Sensirion": _sensirion,
    "SmartDry": _smart_dry,
    "Tilt": _tilt,
}
