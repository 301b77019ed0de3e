"""Plugs at home: Tasmota, Shelly of both kinds.

In: a number and chance. Out: `Sender`s. Formats: the makers' public documentation of MQTT.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random
from typing import Any

from headwater.commands.simulated.sender import Said, Sender, Walk, said


def _local(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S")


class _Plug:
    """A plug's meter."""

    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self._voltage = Walk(chance, 230, 8, 0.6)
        self._power = Walk(chance, 400, 390, 40)
        self._warmth = Walk(chance, 38, 12, 0.4)
        self._last = 0.0
        self.total = round(chance.uniform(1, 900), 3)
        self.on = chance.random() < 0.8

    def next(self, now: float) -> tuple[float, float, float]:
        """Volts, watts, °C; kWh add up in `total`."""
        watts = max(0.0, self._power.next()) if self.on else 0.0
        hours = (now - self._last) / 3600 if self._last else 0.0
        self.total = round(self.total + watts * max(0.0, hours) / 1000, 6)
        self._last = now
        return self._voltage.next(), watts, self._warmth.next()


class Tasmota(Sender):
    """A plug with an energy meter: tele/…/SENSOR and STATE, LWT as its last will."""

    def __init__(self, number: int, devices: int, chance: Random) -> None:
        self._name = f"tasmota_{0x100000 + number:06X}"
        super().__init__(self._name, devices)
        self._plug = _Plug(chance)
        self._count = 0
        self._began = 0.0
        self.will = Said(f"tele/{self._name}/LWT", b"Offline", retain=True)

    def hello(self, now: float) -> Sequence[Said]:
        self._began = now
        about = {"Info1": {"Module": "Gosund SP111", "Version": "14.2.0(release-tasmota)", "GroupTopic": "tasmotas"}}
        return (said(f"tele/{self._name}/LWT", "Online", retain=True), said(f"tele/{self._name}/INFO1", about))

    def say(self, device: int, now: float) -> Sequence[Said]:
        del device
        self._count += 1
        volts, watts, _ = self._plug.next(now)
        energy = {
            "TotalStartTime": "2026-01-01T00:00:00",
            "Total": round(self._plug.total, 3),
            "Yesterday": 1.204,
            "Today": 0.511,
            "Period": 0,
            "Power": round(watts),
            "ApparentPower": round(watts * 1.05),
            "ReactivePower": round(watts * 0.3),
            "Factor": 0.95,
            "Voltage": round(volts),
            "Current": round(watts / volts, 3),
        }
        sent = [said(f"tele/{self._name}/SENSOR", {"Time": _local(now), "ENERGY": energy})]
        if self._count % 5 == 1:
            uptime = int(now - self._began)
            state = {
                "Time": _local(now),
                "Uptime": f"0T{uptime // 3600:02}:{uptime // 60 % 60:02}:{uptime % 60:02}",
                "UptimeSec": uptime,
                "Heap": 25,
                "SleepMode": "Dynamic",
                "LoadAvg": 19,
                "MqttCount": 1,
                "POWER": "ON" if self._plug.on else "OFF",
                "Wifi": {
                    "AP": 1,
                    "SSId": "site",
                    "BSSId": "02:00:00:00:00:01",
                    "Channel": 6,
                    "RSSI": 74,
                    "Signal": -63,
                },
            }
            sent.append(said(f"tele/{self._name}/STATE", state))
        return sent


class ShellyGen1(Sender):
    """A Shelly Plug S: one value a topic."""

    def __init__(self, number: int, devices: int, chance: Random) -> None:
        self._name = f"shellyplug-s-{0xA00000 + number:06X}"
        super().__init__(self._name, devices)
        self._plug = _Plug(chance)
        self.will = Said(f"shellies/{self._name}/online", b"false", retain=True)

    def hello(self, now: float) -> Sequence[Said]:
        del now
        mac = f"80646F{self._name[-6:]}"
        about = {
            "id": self._name,
            "model": "SHPLG-S",
            "mac": mac,
            "ip": "192.0.2.8",
            "new_fw": False,
            "fw_ver": "20230913-113421/v1.14.0",
        }
        return said(f"shellies/{self._name}/online", "true", retain=True), said("shellies/announce", about)

    def say(self, device: int, now: float) -> Sequence[Said]:
        del device
        _, watts, warmth = self._plug.next(now)
        base = f"shellies/{self._name}"
        return (
            said(f"{base}/relay/0", "on" if self._plug.on else "off"),
            said(f"{base}/relay/0/power", f"{watts:.2f}"),
            said(f"{base}/relay/0/energy", str(round(self._plug.total * 60_000))),
            said(f"{base}/temperature", f"{warmth:.2f}"),
        )


class ShellyGen2(Sender):
    """A Shelly Plus Plug S: NotifyStatus on …/events/rpc."""

    def __init__(self, number: int, devices: int, chance: Random) -> None:
        self._name = f"shellyplusplugs-b0b21c{0x100000 + number:06x}"
        super().__init__(self._name, devices)
        self._plug = _Plug(chance)
        self.will = Said(f"{self._name}/online", b"false", retain=True)

    def hello(self, now: float) -> Sequence[Said]:
        full = {"ble": {}, "cloud": {"connected": False}, "mqtt": {"connected": True}, "switch:0": self._switch(now)}
        return (
            said(f"{self._name}/online", "true", retain=True),
            said(f"{self._name}/events/rpc", self._notify("NotifyFullStatus", now, full)),
        )

    def say(self, device: int, now: float) -> Sequence[Said]:
        del device
        return (said(f"{self._name}/events/rpc", self._notify("NotifyStatus", now, {"switch:0": self._switch(now)})),)

    def _notify(self, method: str, now: float, params: dict[str, Any]) -> dict[str, Any]:
        return {
            "src": self._name,
            "dst": f"{self._name}/events",
            "method": method,
            "params": {"ts": round(now, 2), **params},
        }

    def _switch(self, now: float) -> dict[str, Any]:
        volts, watts, warmth = self._plug.next(now)
        return {
            "id": 0,
            "source": "init",
            "output": self._plug.on,
            "apower": watts,
            "voltage": volts,
            "current": round(watts / volts, 3),
            "aenergy": {
                "total": round(self._plug.total * 1000, 3),
                "by_minute": [0.0, 0.0, 0.0],
                "minute_ts": int(now),
            },
            "temperature": {"tC": warmth, "tF": round(warmth * 1.8 + 32, 1)},
        }
