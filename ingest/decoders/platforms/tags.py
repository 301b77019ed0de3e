"""Which value names the device, in formats that leave that to whoever set them up.

In: names with values. Out: the device's name.
"""

from collections.abc import Mapping
from typing import Any

NAMES = (
    "device",
    "device_id",
    "deviceid",
    "device_name",
    "devicename",
    "dev_eui",
    "deveui",
    "sensor_id",
    "sensorid",
    "node_id",
    "nodeid",
    "host",
    "hostname",
    "node",
    "mac",
    "imei",
    "serial",
    "serial_number",
    "serialnumber",
    "sensor",
    "client_id",
    "clientid",
)
"""The surer one first, in lower case."""

_RANKS = {name: rank for rank, name in enumerate(NAMES)}


def device_tag(values: Mapping[str, Any]) -> str:
    """The device's name, or "". Texts and whole numbers can be names."""
    best, found = len(_RANKS), ""
    for key in values:
        rank = _RANKS.get(key) if key.islower() else _RANKS.get(key.lower())
        if rank is not None and rank < best and _nameable(values[key]):
            best, found = rank, key
    return str(values[found]) if found else ""


def _nameable(value: Any) -> bool:
    if isinstance(value, str):
        return any(letter.isalnum() for letter in value)
    return isinstance(value, int) and not isinstance(value, bool)
