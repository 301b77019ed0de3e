"""A reading in the words of Theengs: `tempc`, `hum`, `batt`, and each device's own.

In: an advert and its reading. Out: properties by name. Temperatures come in °C and °F, as its gateways send them.
"""

from collections.abc import Callable
from struct import unpack

from ingest.decoders.ble.advert import Advert
from ingest.decoders.ble.makers.sensirion import sensirion
from ingest.decoders.ble.makers.toothbrush import MODES, STATES
from ingest.decoders.ble.reading import Reading, Value, Values
from ingest.decoders.ble.theengs_models import MODELS, Model

_NAMES = {
    "acceleration_x": "accx",
    "acceleration_y": "accy",
    "acceleration_z": "accz",
    "battery": "batt",
    "battery_low": "lowbatt",
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
    "pressure": "pres",
    "tx_power": "tx",
    "voltage": "volt",
    "weight_unit": "unit",
}
_TEMPERATURES = {"temperature": ("tempc", "tempf"), "dewpoint": ("tempc2_dp", "tempf2_dp")}
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
    return model, _renamed(values, first="tempc" if reading.firmware == "Inkbird" else "tempc1")


def _model_of(advert: Advert, reading: Reading) -> Model | None:
    name = reading.model
    if reading.firmware == "Sensirion":
        name = "Sensirion CO2" if "co2" in reading.values else "Sensirion"
    elif reading.firmware.startswith("Ruuvitag"):
        name = reading.firmware
    elif name == "iBeacon":
        name = _THEENGS.get(advert.manufacturer[0x004C][2:18], name)
    elif reading.firmware == "ATC (Custom)":
        return MODELS["ATC"]._replace(model_id="LYWSD03MMC/MJWSD05MMC_PVVX")
    elif reading.model.startswith("TP"):
        name = reading.model[:5]
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
    if not isinstance(value, int | float):
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
    mean = power / 1000 if isinstance(power, int | float) else None
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


def _ruuvi(_: Advert, values: Values) -> Values:
    for axis in ("acceleration_x", "acceleration_y", "acceleration_z"):
        value = values.get(axis)
        if isinstance(value, int | float):
            values[axis] = value * _ACCELERATION
    return _renamed(values)


def _beacon(_: Advert, values: Values) -> Values:
    """The power at 1 m; above 0 it is the battery's voltage in tenths."""
    power = values.pop("measured_power")
    above = isinstance(power, int) and power > 0
    found: Values = {"volt": power / 10} if isinstance(power, int) and above else {"txpower": power}
    return {"mfid": "4c00"} | found | _renamed(values)


def _tilt(advert: Advert, values: Values) -> Values:
    number = advert.manufacturer[0x004C][5] >> 4
    colours = ("red", "green", "black", "purple", "orange", "blue", "yellow", "pink")
    found: Values = {"color": colours[number - 1], "txpower": values["measured_power"]}
    return found | _renamed({name: values[name] for name in ("temperature", "gravity")})


_SPECIAL: dict[str, Callable[[Advert, Values], Values]] = {
    "April Brother": _beacon,
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
