"""Network servers and gateways with many devices behind one connection: ChirpStack 4, The Things Stack 3, Ruuvi's.

In: a number and chance. Out: `Sender`s. Formats: the makers' public documentation.
"""

from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random
from typing import Any
from uuid import UUID

from headwater.commands.simulated.sender import Said, Sender, Walk, said


class _Sensors(Sender):
    """Climate sensors with a frame counter each."""

    def __init__(self, client_id: str, number: int, devices: int, chance: Random) -> None:
        super().__init__(client_id, devices)
        self.chance = chance
        self._number = number
        self._walks = [(Walk(chance, 18, 14, 0.2), Walk(chance, 55, 30, 0.5)) for _ in range(devices)]
        self._counts = [chance.randint(0, 5000) for _ in range(devices)]

    def next(self, device: int) -> tuple[str, int, float, float]:
        """DevEUI, frame counter, °C, %."""
        self._counts[device] += 1
        warmth, wet = self._walks[device]
        return f"a84041{self._number:04x}{device:06x}", self._counts[device], warmth.next(), wet.next()


def _rfc3339(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).isoformat()


class ChirpStack(_Sensors):
    """event/up with the codec's `object`."""

    def __init__(self, number: int, devices: int, chance: Random) -> None:
        super().__init__(f"chirpstack-{number}", number, devices, chance)
        self._application = str(UUID(int=chance.getrandbits(128)))

    def say(self, device: int, now: float) -> Sequence[Said]:
        eui, count, warmth, wet = self.next(device)
        frame = round(warmth * 10).to_bytes(2, "big", signed=True) + round(wet * 2).to_bytes(1, "big")
        about = {
            "tenantId": self._application,
            "tenantName": "site",
            "applicationId": self._application,
            "applicationName": "climate",
            "deviceProfileId": self._application,
            "deviceProfileName": "climate sensor",
            "deviceName": f"climate {eui[-6:]}",
            "devEui": eui,
            "tags": {},
        }
        heard = {
            "gatewayId": "0016c001f1500812",
            "uplinkId": count,
            "rssi": self.chance.randint(-115, -40),
            "snr": round(self.chance.uniform(-8, 10), 1),
        }
        value = {
            "deduplicationId": str(UUID(int=self.chance.getrandbits(128))),
            "time": _rfc3339(now),
            "deviceInfo": about,
            "devAddr": f"01{eui[-6:]}",
            "adr": True,
            "dr": 5,
            "fCnt": count,
            "fPort": 2,
            "confirmed": False,
            "data": b64encode(frame).decode(),
            "object": {"temperature": warmth, "humidity": wet},
            "rxInfo": [heard],
            "txInfo": {"frequency": 868100000},
        }
        return (said(f"application/{self._application}/device/{eui}/event/up", value),)


class TheThingsStack(_Sensors):
    """…/up with `decoded_payload`."""

    def __init__(self, number: int, devices: int, chance: Random) -> None:
        super().__init__(f"tts-{number}", number, devices, chance)

    def say(self, device: int, now: float) -> Sequence[Said]:
        eui, count, warmth, wet = self.next(device)
        name = f"climate-{eui[-6:]}"
        ids: dict[str, Any] = {
            "device_id": name,
            "application_ids": {"application_id": "climate"},
            "dev_eui": eui.upper(),
            "dev_addr": f"26{eui[-6:]}".upper(),
        }
        heard = {
            "gateway_ids": {"gateway_id": "roof", "eui": "0016C001F1500812"},
            "rssi": self.chance.randint(-115, -40),
            "snr": 7.5,
        }
        up = {
            "f_port": 2,
            "f_cnt": count,
            "frm_payload": "AQID",
            "decoded_payload": {"temperature": warmth, "humidity": wet},
            "rx_metadata": [heard],
            "received_at": _rfc3339(now),
        }
        value = {"end_device_ids": ids, "received_at": _rfc3339(now), "uplink_message": up}
        return (said(f"v3/climate@ttn/devices/{name}/up", value),)


class RuuviGateway(Sender):
    """A gateway that says what it hears of RuuviTags (format 5), one topic a tag."""

    def __init__(self, number: int, devices: int, chance: Random) -> None:
        self._gateway = f"C8:25:2D:{number >> 16 & 255:02X}:{number >> 8 & 255:02X}:{number & 255:02X}"
        super().__init__(f"ruuvi-{number}", devices)
        self._chance = chance
        self._number = number
        self._walks = [
            (Walk(chance, 20, 8, 0.1), Walk(chance, 50, 25, 0.5), Walk(chance, 1000, 30, 0.3)) for _ in range(devices)
        ]
        self._counts = [0] * devices

    def say(self, device: int, now: float) -> Sequence[Said]:
        self._counts[device] += 1
        warmth, wet, pressed = (walk.next(2) for walk in self._walks[device])
        mac = bytes([0xE3, 0x75, self._number >> 8 & 255, self._number & 255, device >> 8, device & 255])
        body = (
            b"\x05"
            + round(warmth / 0.005).to_bytes(2, "big", signed=True)
            + round(wet / 0.0025).to_bytes(2, "big")
            + round(pressed * 100 - 50_000).to_bytes(2, "big")
            + bytes.fromhex("0004fffc040c")
            + ((2977 - 1600 << 5) + 22).to_bytes(2, "big")
            + b"\x42"
            + (self._counts[device] & 0xFFFF).to_bytes(2, "big")
            + mac
        )
        tag = ":".join(f"{byte:02X}" for byte in mac)
        value = {
            "gw_mac": self._gateway,
            "rssi": self._chance.randint(-95, -45),
            "aoa": [],
            "gwts": str(int(now)),
            "ts": str(int(now)),
            "data": f"0201061BFF9904{body.hex().upper()}",
            "coords": "",
        }
        return (said(f"ruuvi/{self._gateway}/{tag}", value),)
