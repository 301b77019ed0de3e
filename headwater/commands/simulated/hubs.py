"""Hubs and nodes at home that speak for sensors: Zigbee2MQTT, ESPHome.

In: a number and chance. Out: `Sender`s. Formats: the makers' public documentation of MQTT.
"""

from collections.abc import Sequence
from random import Random

from headwater.commands.simulated.sender import Said, Sender, Walk, said


class Zigbee2Mqtt(Sender):
    """A hub with climate sensors: bridge/state, bridge/devices, one topic a sensor and its availability."""

    def __init__(self, number: int, devices: int, chance: Random) -> None:
        self._base = "zigbee2mqtt"
        self._number = number
        super().__init__(f"mqttjs_z2m{number}", devices)
        self._walks = [(Walk(chance, 21, 6, 0.1), Walk(chance, 48, 25, 0.5)) for _ in range(devices)]
        self._chance = chance
        self.will = Said(f"{self._base}/bridge/state", b'{"state":"offline"}', retain=True)

    def _name(self, device: int) -> str:
        return f"climate {self._number}-{device}"

    def hello(self, now: float) -> Sequence[Said]:
        del now
        described = [
            {
                "ieee_address": f"0x00158d{self._number:05x}{device:05x}",
                "type": "EndDevice",
                "network_address": 4000 + device,
                "supported": True,
                "friendly_name": self._name(device),
                "power_source": "Battery",
                "model_id": "lumi.weather",
                "definition": {
                    "model": "WSDCGQ11LM",
                    "vendor": "Aqara",
                    "description": "Temperature and humidity sensor",
                    "exposes": [
                        {
                            "type": "numeric",
                            "name": "temperature",
                            "property": "temperature",
                            "access": 1,
                            "unit": "°C",
                        },
                        {"type": "numeric", "name": "humidity", "property": "humidity", "access": 1, "unit": "%"},
                        {
                            "type": "numeric",
                            "name": "battery",
                            "property": "battery",
                            "access": 1,
                            "unit": "%",
                            "value_min": 0,
                            "value_max": 100,
                        },
                        {
                            "type": "numeric",
                            "name": "linkquality",
                            "property": "linkquality",
                            "access": 1,
                            "unit": "lqi",
                        },
                    ],
                },
            }
            for device in range(self.devices)
        ]
        online = [
            said(f"{self._base}/{self._name(device)}/availability", {"state": "online"}, retain=True)
            for device in range(self.devices)
        ]
        return (
            said(f"{self._base}/bridge/state", {"state": "online"}, retain=True),
            said(f"{self._base}/bridge/devices", described, retain=True),
            *online,
        )

    def say(self, device: int, now: float) -> Sequence[Said]:
        warmth, wet = self._walks[device]
        value = {
            "battery": 87,
            "humidity": wet.next(2),
            "last_seen": round(now * 1000),
            "linkquality": self._chance.randint(40, 200),
            "temperature": warmth.next(2),
            "voltage": 2985,
        }
        return (said(f"{self._base}/{self._name(device)}", value),)


class Esphome(Sender):
    """A node with two sensors: one bare number a topic, discovery once."""

    def __init__(self, number: int, devices: int, chance: Random) -> None:
        self._name = f"node-{number}"
        super().__init__(f"{self._name}-a0b1c2", devices)
        self._warmth, self._wet = Walk(chance, 21, 6, 0.1), Walk(chance, 48, 25, 0.5)
        self.will = Said(f"{self._name}/status", b"offline", retain=True)

    def hello(self, now: float) -> Sequence[Said]:
        del now
        device = {
            "ids": f"a0b1c2{self._name}",
            "name": self._name,
            "sw": "2026.11.0",
            "mdl": "esp32dev",
            "mf": "Espressif",
        }
        configs = [
            said(
                f"homeassistant/sensor/{self._name}/{field}/config",
                {
                    "name": field.title(),
                    "stat_t": f"{self._name}/sensor/{field}/state",
                    "avty_t": f"{self._name}/status",
                    "unit_of_meas": unit,
                    "dev_cla": field,
                    "uniq_id": f"{self._name}-{field}",
                    "dev": device,
                },
                retain=True,
            )
            for field, unit in (("temperature", "°C"), ("humidity", "%"))
        ]
        return (said(f"{self._name}/status", "online", retain=True), *configs)

    def say(self, device: int, now: float) -> Sequence[Said]:
        del device, now
        base = f"{self._name}/sensor"
        return (
            said(f"{base}/temperature/state", f"{self._warmth.next()}"),
            said(f"{base}/humidity/state", f"{self._wet.next()}"),
        )
