"""Headwater's own CA, from `headwater ca init` to a live session that a revocation cuts, with Debian's mosquitto_pub."""

import json
import os
import shutil
import socket
import ssl
import subprocess
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.system.program import HEADWATER, Program, free_port

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

CONNECT = b"\x10\x13\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x06"
"""All but the client id, which has six bytes."""
ACCEPTED, UNKNOWN, NOT_AUTHORIZED = 0, 0x86, 0x87


def make(folder: Path, *arguments: str, more: Mapping[str, str] | None = None) -> str:
    """Run a command in this folder; what it says. `more`: of its environment."""
    done = subprocess.run(
        [str(HEADWATER), *arguments], cwd=folder, env={**os.environ, **(more or {})},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stderr


def secured(port: int, folder: Path) -> dict[str, str]:
    """Settings of a listener for devices with certificates of the CA in `folder`."""
    return {
        "HEADWATER_MQTT__TLS__LISTEN": f"127.0.0.1:{port}",
        "HEADWATER_MQTT__TLS__CERTIFICATE": str(folder / "tls/server.pem"),
        "HEADWATER_MQTT__TLS__KEY": str(folder / "tls/server-key.pem"),
        "HEADWATER_MQTT__TLS__CLIENT_CA": str(folder / "ca/ca.pem"),
        "HEADWATER_MQTT__TLS__CLIENT": "required",
    }


def connected(port: int, authority: Path, files: Path, client: bytes = b"pump-7") -> tuple[ssl.SSLSocket, int]:
    """Over TLS with the certificate pump-7.pem, and what CONNACK says."""
    context = ssl.create_default_context(cafile=str(authority / "ca/ca.pem"))
    context.load_cert_chain(files / "pump-7.pem", files / "pump-7-key.pem")
    line = socket.create_connection(("127.0.0.1", port), timeout=20)
    secure = context.wrap_socket(line, server_hostname="127.0.0.1")
    secure.sendall(CONNECT + client)
    answer = secure.recv(1024)
    assert answer[0] == 0x20, answer
    return secure, answer[3]


def session(port: int, authority: Path, files: Path | None = None, client: bytes = b"pump-7") -> ssl.SSLSocket:
    """Connected, and accepted."""
    line, code = connected(port, authority, files or authority, client)
    assert code == ACCEPTED
    return line


def last_word(line: ssl.SSLSocket, seconds: float) -> int:
    """The reason code of the DISCONNECT that comes within this time; what follows is the end."""
    line.settimeout(seconds)
    said = line.recv(1024)
    assert said[0] == 0xE0, said
    return said[2]


def test_a_device_with_files_of_our_own_ca_sends_and_a_revocation_cuts_its_session(tmp_path: Path):
    assert shutil.which("mosquitto_pub"), "mosquitto_pub is needed: scripts/test installs it on Debian"
    make(tmp_path, "ca", "init")
    make(tmp_path, "ca", "server", "127.0.0.1", "localhost", "--out", "tls")
    port = free_port()
    program = Program(tmp_path / "data", secured(port, tmp_path))
    program.start()
    try:
        files = ("--ca", str(tmp_path / "ca"), "--out", str(tmp_path))
        said = program.run("devices", "add", "pump-7", "--cert", *files, ok=False)
        use = next(line for line in said.splitlines() if "--cert" in line).replace("-p 8883", f"-p {port}")
        # As the person does who copies the line.
        sent = subprocess.run(use, shell=True, cwd=tmp_path, capture_output=True, timeout=30, check=False)
        assert (sent.returncode, sent.stderr) == (0, b""), use
        latest = program.get("/api/v1/devices/pump-7/latest")
        assert latest["fields"]["t"]["value"] == 21.5

        program.run("devices", "certify", "pump-7", "--ca", str(tmp_path / "ca"), "--out", str(tmp_path / "new"))
        with session(port, tmp_path) as line:
            program.run("devices", "revoke", "pump-7", str(tmp_path / "pump-7.pem"))
            assert last_word(line, 1) == NOT_AUTHORIZED
        line, code = connected(port, tmp_path, tmp_path)
        line.close()
        assert code == UNKNOWN
        with session(port, tmp_path, tmp_path / "new"):
            pass
    finally:
        program.stop()


def test_a_device_with_a_claims_certificate_gets_its_own_over_https(tmp_path: Path):
    assert shutil.which("openssl"), "openssl is needed"
    make(tmp_path, "ca", "init")
    make(tmp_path, "ca", "server", "127.0.0.1", "--out", "tls")
    make(tmp_path, "ca", "device", "LINE-3")
    port, mqtt = free_port(), free_port()
    https = {name.replace("MQTT", "HTTP"): value for name, value in secured(port, tmp_path).items()}
    program = Program(
        tmp_path / "data", {**https, **secured(mqtt, tmp_path), "HEADWATER_REGISTRY__CA": str(tmp_path / "ca")}
    )
    program.start()
    try:
        program.run("claims", "add", "LINE-3", "--names", "pump-*", "--certificate", str(tmp_path / "LINE-3.pem"))
        done = subprocess.run(
            ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
             "/CN=pump-7", "-keyout", "pump-7-key.pem", "-out", "pump-7.csr"],
            cwd=tmp_path, capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        context = ssl.create_default_context(cafile=str(tmp_path / "ca/ca.pem"))
        context.load_cert_chain(tmp_path / "LINE-3.pem", tmp_path / "LINE-3-key.pem")
        body = json.dumps({"name": "pump-7", "request": (tmp_path / "pump-7.csr").read_text()}).encode()
        request = urllib.request.Request(
            f"https://127.0.0.1:{port}/api/v1/provision", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60, context=context) as reply:
            answer = json.loads(reply.read())
        (tmp_path / "pump-7.pem").write_text(answer["certificate"])
        with session(mqtt, tmp_path):
            pass
    finally:
        program.stop()
