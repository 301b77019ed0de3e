"""A bridge over TLS: Mosquitto asks for a certificate, and lets in who shows one of its CA."""

import getpass
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import Fleet, Pair
from tests.system.mosquitto import mosquitto
from tests.system.program import Program
from tests.system.test_bridge import all_there, bridged, connected

pytestmark = [pytest.mark.process, pytest.mark.timeout(240)]


def broker_of(fleet: Fleet) -> str:
    """Lines of its configuration."""
    return (
        f"cafile {fleet.devices.certificate}\ncertfile {fleet.server.certificate}\nkeyfile {fleet.server.key}\n"
        f"require_certificate true\nuse_identity_as_username true\nuser {getpass.getuser()}"  # who may read the key
    )


def shown(fleet: Fleet, pair: Pair, **more: Any) -> dict[str, Any]:
    """A bridge's settings."""
    trusted = {"tls": True, "ca": str(fleet.servers.certificate)}
    return {**trusted, "certificate": str(pair.certificate), "key": str(pair.key), **more}


def publish(fleet: Fleet, port: int, *numbers: int) -> None:
    """By mosquitto_pub, with a certificate of its own; acknowledged on return."""
    mine = fleet.devices.issue("plant")
    command = [
        "mosquitto_pub", "-h", "127.0.0.1", "-p", str(port), "-q", "1", "-t", "devices/pump-1/telemetry", "-l",
        "--cafile", str(fleet.servers.certificate), "--cert", str(mine.certificate), "--key", str(mine.key),
    ]  # fmt: skip
    said = b"".join(json.dumps({"id": f"m{n}", "fields": {"n": n}}).encode() + b"\n" for n in numbers)
    subprocess.run(command, input=said, timeout=20, check=True)


def test_a_bridge_shows_its_certificate_and_gets_all_there_is(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path / "tls")
    with mosquitto(tmp_path / "broker", broker_of(fleet)) as broker:
        program = bridged(tmp_path, "one", port=broker.port, host="localhost", **shown(fleet, fleet.pump))
        try:
            connected(program)
            assert "'pump-7'" in broker.said()  # the user name, from the certificate
            publish(fleet, broker.port, *range(50))
            broker.kill()
            broker.start()
            connected(program, reads=2)
            publish(fleet, broker.port, *range(50, 100))
            found = all_there(program, {f"m{n}" for n in range(100)})
            assert set(found.values()) == {1}
        finally:
            program.kill()


@pytest.mark.parametrize("wrong", ["shown", "trusted"])
def test_where_one_does_not_believe_the_other_nothing_is_read_and_it_says_so(tmp_path: Path, wrong: str) -> None:
    fleet = Fleet(tmp_path / "tls")
    with mosquitto(tmp_path / "broker", broker_of(fleet)) as broker:
        settings = shown(fleet, fleet.foreign if wrong == "shown" else fleet.pump)
        if wrong == "trusted":
            settings["ca"] = str(fleet.strangers.certificate)
        program: Program = bridged(tmp_path, "one", port=broker.port, host="localhost", **settings)
        try:
            connected(program, said=b"a bridge waits for its broker")
            assert b"a bridge reads" not in program.output.read_bytes()
            assert program.get("/healthz") is not None
        finally:
            program.kill()
