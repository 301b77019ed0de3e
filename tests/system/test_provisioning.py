"""A claim over MQTT, from `headwater claims add` to the device that sends as itself, with Debian's mosquitto clients."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.system.program import Program, free_port
from tests.system.test_certificates import make, secured, session

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]


def mosquitto(client: str, *arguments: str) -> str:
    """Run one of its clients; what it prints."""
    assert shutil.which(client), f"{client} is needed: scripts/test installs it on Debian"
    done = subprocess.run(
        [client, "-h", "127.0.0.1", "-V", "5", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def asks(asked: dict[str, str], *how: str) -> dict[str, Any]:
    """What a device is told that asks with mosquitto_rr."""
    said = mosquitto("mosquitto_rr", "-q", "1", "-t", "provision", "-e", "provision/answer", "-m", json.dumps(asked), *how)  # fmt: skip
    return json.loads(said)


def test_a_device_comes_by_a_code_and_sends_as_itself(tmp_path: Path):
    program = Program(tmp_path / "data")
    program.start()
    try:
        code = program.run("claims", "add", "LINE-3", "--names", "pump-*").strip()
        port = ("-p", str(program.mqtt))
        said = asks({"name": "pump-7"}, *port, "-u", "claim", "-P", code)
        mosquitto(
            "mosquitto_pub", *port, "-u", "pump-7", "-P", said["token"], "-q", "1", "-t", "devices/pump-7/telemetry",
            "-m", '{"fields":{"t":21.5}}',
        )  # fmt: skip
        assert program.get("/api/v1/devices/pump-7/latest")["fields"]["t"]["value"] == 21.5
    finally:
        program.stop()


def test_a_device_with_a_claims_certificate_gets_its_own_over_mqtt(tmp_path: Path):
    make(tmp_path, "ca", "init")
    make(tmp_path, "ca", "server", "127.0.0.1", "--out", "tls")
    make(tmp_path, "ca", "device", "LINE-3")
    port = free_port()
    program = Program(tmp_path / "data", {**secured(port, tmp_path), "HEADWATER_REGISTRY__CA": str(tmp_path / "ca")})
    program.start()
    try:
        program.run("claims", "add", "LINE-3", "--names", "pump-*", "--certificate", str(tmp_path / "LINE-3.pem"))
        done = subprocess.run(
            ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
             "/CN=pump-7", "-keyout", "pump-7-key.pem", "-out", "pump-7.csr"],
            cwd=tmp_path, capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        files = ("--cafile", "ca/ca.pem", "--cert", "LINE-3.pem", "--key", "LINE-3-key.pem")
        how = [str(tmp_path / one) if "." in one else one for one in files]
        said = asks({"name": "pump-7", "request": (tmp_path / "pump-7.csr").read_text()}, "-p", str(port), *how)
        (tmp_path / "pump-7.pem").write_text(said["certificate"])
        with session(port, tmp_path):
            pass
    finally:
        program.stop()
