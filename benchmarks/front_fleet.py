"""The fleet that the front door is measured with: registered devices, what they show, and what they may say.

In: a Kafka and a folder. Out: in the folder tokens, certificates and passwords of every device as each door wants
them; on Kafka the registry's changes and the selection rules, as `headwater api` brings them and gateways take them.

`fleet-00000` and so on have the default quota (100 messages a second each) and a class is made for `burst-00000` and so
on, who have none: eight connections cannot load a gateway otherwise. All have topic rules of their group, and a model
with types and ranges that every message is checked against. The first of the fleet have certificates of our own CA.
"""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import structs

from benchmarks.gateway import ruled
from headwater.authority import Authority
from headwater.config_models import Model
from headwater.config_stack import Kafka
from headwater.credentials import digest, new_token
from headwater.registry import Device, Group
from tests.services.recipes import program

FLEET, BURST = "fleet", "burst"
MODEL: dict[str, Any] = {
    "strict": True,
    "fields": {
        "temperature": {"min": -50, "max": 150, "required": True},
        "voltage": {"min": 0, "max": 1000},
        "pressure": {"min": 0, "max": 2000},
        "load": {"type": "integer", "min": 0, "max": 100},
        "state": {"type": "text", "values": ["on", "off"]},
    },
    "select": {"change": "5%"},
}
_PUBLISH = "devices/{device}/telemetry", "plants/{group}/{device}/#"
_SUBSCRIBE = "devices/{device}/#", "plants/{group}/notices"
READER = "telegraf"


class Members(NamedTuple):
    """So many devices of a name, each with a token: `tokens`, a line each."""

    name: str
    size: int
    tokens: Path


class Fleet:
    """Files of all devices. `certified`: so many have a certificate."""

    def __init__(self, folder: Path, devices: int, burst: int, certified: int) -> None:
        self.folder = folder
        self.authority = Authority.new("Benchmark CA")
        self.ca = folder / "ca.pem"
        self.ca.write_bytes(self.authority.certificate)
        server = self.authority.server(("127.0.0.1",))
        self.server, self.server_key = folder / "server.pem", folder / "server.key"
        self.server.write_bytes(server.certificate)
        self.server_key.write_bytes(server.key)
        self.certificates = folder / "certificates"
        self.certificates.mkdir()
        self.fleet = Members(FLEET, devices, folder / "fleet.tokens")
        self.burst = Members(BURST, burst, folder / "burst.tokens")
        self.secret = new_token("device")
        self._tokens = {
            f"{members.name}-{number:05d}": new_token("device")
            for members in (self.fleet, self.burst)
            for number in range(members.size)
        }
        for members in (self.fleet, self.burst):
            mine = (token for name, token in self._tokens.items() if name.startswith(members.name))
            members.tokens.write_text("\n".join(mine))
        self._certified = certified

    def records(self) -> Sequence[Device | Group]:
        """What the registry shall know. Certificates are written meanwhile."""
        groups = [
            Group(name=FLEET, publish=_PUBLISH, subscribe=_SUBSCRIBE),
            Group(name=BURST, publish=_PUBLISH, subscribe=_SUBSCRIBE, quota=BURST),
        ]
        devices = [
            Device(name=name, token=digest(token), model="pump", groups=(name.partition("-")[0],))
            for name, token in self._tokens.items()
        ]
        certified = [self._certify(device) for device in devices[: self._certified]]
        return [*groups, *certified, *devices[self._certified :]]

    def _certify(self, device: Device) -> Device:
        issued = self.authority.device(device.name)
        (self.certificates / f"{device.name}.pem").write_bytes(issued.certificate + issued.key)
        return structs.replace(device, certificates=(issued.held,))

    async def register(self, kafka: Kafka) -> None:
        """Bring them to the log."""
        await ruled(kafka, {"pump": Model.model_validate(MODEL)}, self.records())

    def settings(self, tls: str) -> dict[str, Any]:
        """Of a gateway that takes them; `tls`: where it listens with TLS."""
        secure = {
            "listen": tls,
            "certificate": str(self.server),
            "key": str(self.server_key),
            "client_ca": str(self.ca),
            "client": "optional",
        }
        return {
            "ingest": {"anonymous": "never"},
            "models": {"pump": MODEL},
            "quotas": {"classes": {BURST: {"publishes": 0, "size": 0}}},
            "mqtt": {"tls": secure},
        }

    def mosquitto(self, tcp: int, tls: int) -> str:
        """The configuration of a Mosquitto that asks the same of them; nothing is persistent in it."""
        passwords, rules = self.folder / "mosquitto.passwords", self.folder / "mosquitto.acl"
        if not passwords.exists():
            named = {**self._tokens, READER: self.secret}
            passwords.write_text("".join(f"{name}:{token}\n" for name, token in named.items()))
            subprocess.run([program("mosquitto_passwd", "mosquitto"), "-U", str(passwords)], check=True, timeout=300)
            rules.write_text(
                f"user {READER}\ntopic read devices/#\npattern write devices/%u/telemetry\npattern read devices/%u/#\n"
            )
        return (
            f"listener {tcp} 127.0.0.1\nlistener {tls} 127.0.0.1\n"
            f"certfile {self.server}\nkeyfile {self.server_key}\n"
            f"allow_anonymous false\npassword_file {passwords}\nacl_file {rules}\n"
            "persistence false\nmax_inflight_messages 0\nmax_queued_messages 0\nset_tcp_nodelay true\nuser root\n"
        )
