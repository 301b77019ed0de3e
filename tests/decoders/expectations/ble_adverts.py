"""What samples of raw adverts expect: the messages of ble_monitor, the properties of TheengsDecoder.

In: a sample. Out: an `Expectation`. What these say that no advert does is left out, each with its reason.
"""

from collections.abc import Mapping
from typing import Any

from tests.decoders.compare import Expectation, Expected
from tests.decoders.samples import Sample

_OTHER_NAMES = {"mac": ("mac", "device"), "packet": ("packet", "seq"), "c02": ("co2",)}
_ENCRYPTED = "encrypted)"
_COMMENTED_OUT = {("SensorPush", "battery")}
"""Found in the source in a line that does nothing."""
_NOT_PLUGGED_IN = {"H5055", "H5198", "iBBQ-1", "iBBQ-2", "iBBQ-4", "iBBQ-6"}
"""Their -1 °C and -10 °C without a probe, which the source turns into 0; here the value is absent."""


def sensor_message(sample: Sample) -> Expectation:
    """ble_monitor's message. Where an advert is encrypted and its key is not in the sample, it must be refused."""
    message: Mapping[str, Any] = sample.expected["sensor_msg"]
    if _ENCRYPTED in str(message.get("firmware", "")) and "bindkey" not in sample.raw:
        return Expectation(refused=True)
    return said_by(message)


def said_by(message: Mapping[str, Any]) -> Expectation:
    """All of a message that the advert says."""
    kept = [(name, value) for name, value in message.items() if _is_said(message, name, value)]
    return Expectation([Expected(_OTHER_NAMES.get(name, (name,)), value) for name, value in kept])


def theengs_properties(sample: Sample) -> Expectation:
    """TheengsDecoder's properties. Below 0 °C it takes humidity's digits for more of the temperature's."""
    named = sample.expected.items()
    step = 0.1 if sample.expected.get("model_id") == "H5072/75" else 0.0
    return Expectation([Expected((name,), value, step if name[:4] == "temp" else 0) for name, value in named])


def _is_said(message: Mapping[str, Any], name: str, value: Any) -> bool:
    maker, model = message.get("firmware"), message.get("type")
    if value is None or value in {"", "no packet id"} or name == "data" or (maker, name) in _COMMENTED_OUT:
        return False
    if model in _NOT_PLUGGED_IN and name.startswith("temperature probe") and value == 0:
        return False
    if maker == "Ruuvitag V5" and name in {"motion", "motion timer"}:  # reckoned from two adverts
        return False
    if name in {"cypress temperature", "cypress humidity"}:  # reckoned from any iBeacon's minor number
        return False
    # acceleration is signed (MikroTik's tag formats); the source takes it for unsigned
    return not (maker == "Mikrotik" and name.startswith("acceleration") and value >= 128)
