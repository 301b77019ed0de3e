"""Which device and field a state topic means, by the topic patterns of the families that announce themselves.

In: a state topic and a value template of Home Assistant's discovery. Out: the field and the device that the family's
own decoder makes of that topic, so that descriptions and values meet.
"""

import re
from functools import lru_cache

from headwater.errors import Rejected
from ingest.decoders.home import openmqttgateway, shelly_gen1, shelly_gen2, tasmota, zigbee2mqtt
from ingest.decoders.naming import device_name
from ingest.decoders.patterns import compile_pattern

_COMPONENTS = "(?:sensor|binary_sensor|switch|light|climate|cover|fan|lock|number|select|text)"
_ESPHOME = re.compile(rf"(?P<device>.+)/(?P<field>{_COMPONENTS}/[^/]+(?:/[^/]+)?)/(?:state|command)")
_PATTERNS = tuple(
    (family, compile_pattern(pattern))
    for family, patterns in (
        ("zigbee2mqtt", zigbee2mqtt.TOPICS),
        ("openmqttgateway", openmqttgateway.TOPICS),
        ("shelly_gen1", shelly_gen1.TOPICS),
        ("tasmota", tasmota.TOPICS),
        ("shelly_gen2", shelly_gen2.TOPICS),
    )
    for pattern in patterns
)
_LONGEST = 256
_PATH = re.compile(r"value_json((?:\.\w{1,64}|\[['\"][^'\"]{1,64}['\"]\]|\[\d{1,4}\]){1,8})")
_STEP = re.compile(r"\w+|[^'\"\[\].]+")


def field_and_device(topic: str, template: str = "") -> tuple[str, str]:
    """("temperature", "attic") of `zigbee2mqtt/attic` and `{{ value_json.temperature }}`; blank for what is unknown."""
    return _found(topic if len(topic) <= _LONGEST else "", template[:_LONGEST])


@lru_cache(maxsize=4096)
def _found(topic: str, template: str) -> tuple[str, str]:
    found = _PATH.search(template)
    path = ".".join(_STEP.findall(found[1])) if found else ""
    family, device, tail = _match(topic)
    if family == "shelly_gen2" and tail.startswith("status/"):
        component = tail.removeprefix("status/")
        return f"{component}.{path}" if path else component, device
    return path or tail.replace("/", "."), device


def _match(topic: str) -> tuple[str, str, str]:
    """(family, device, what of the topic names the field)."""
    try:
        for family, pattern in _PATTERNS:
            fit = pattern.fullmatch(topic)
            if fit is not None:
                own = fit.groupdict().get("device") or ""
                if not own or (family == "zigbee2mqtt" and own.startswith("bridge/")):
                    return family, "", ""
                after = topic[fit.end("device") + 1 :]
                tail = after if family.startswith("shelly") else topic.rpartition("/")[2] if family == "tasmota" else ""
                return family, device_name(own), tail
        fit = _ESPHOME.fullmatch(topic)
        if fit is not None:
            return "esphome", device_name(fit["device"]), fit["field"]
    except Rejected:
        pass
    return "", "", ""
