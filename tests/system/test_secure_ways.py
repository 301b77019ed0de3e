"""TLS on both ports of a process: where it says so, that it serves, that it stops; and what `check` says of its files."""

import json
import os
import ssl
import subprocess
import urllib.request
from pathlib import Path

import pytest

from tests.certificates import Authority
from tests.system.program import HEADWATER, Program, free_port

pytestmark = pytest.mark.process


def settings(folder: Path) -> tuple[dict[str, str], Authority]:
    servers = Authority(folder, "server-ca")
    server = servers.server()
    found: dict[str, str] = {}
    for part in ("HTTP", "MQTT"):
        found |= {
            f"HEADWATER_{part}__TLS__LISTEN": f"127.0.0.1:{free_port()}",
            f"HEADWATER_{part}__TLS__CERTIFICATE": str(server.certificate),
            f"HEADWATER_{part}__TLS__KEY": str(server.key),
        }
    return found, servers


def test_it_says_where_it_serves_with_tls_and_does(tmp_path: Path) -> None:
    given, servers = settings(tmp_path / "tls")
    program = Program(tmp_path / "data", given)
    program.start()
    try:
        said = program.output.read_text()
        https, mqtts = given["HEADWATER_HTTP__TLS__LISTEN"], given["HEADWATER_MQTT__TLS__LISTEN"]
        assert f", https://{https}, mqtts://{mqtts} (TLS)" in said
        context = ssl.create_default_context(cafile=str(servers.certificate))
        body = json.dumps({"device": "pump-7", "fields": {"t": 1}}).encode()
        request = urllib.request.Request(f"https://{https}/ingest", body)
        with urllib.request.urlopen(request, timeout=30, context=context) as answer:
            assert json.load(answer) == {"accepted": 1, "rejected": []}
        with urllib.request.urlopen(f"https://{https}/healthz", timeout=30, context=context) as answer:
            assert answer.status == 200
        assert program.stop() == 0
    finally:
        program.kill()


def test_check_looks_at_the_certificates(tmp_path: Path) -> None:
    given, _ = settings(tmp_path / "tls")
    given["HEADWATER_MQTT__TLS__KEY"] = given["HEADWATER_HTTP__TLS__CERTIFICATE"]
    done = subprocess.run(
        [str(HEADWATER), "check"], cwd=tmp_path, env={**os.environ, **given, "HEADWATER_HTTP__LISTEN": "127.0.0.1:0"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert "ok      http.tls certificates" in lines
    assert any(
        line.startswith("FAILED  mqtt.tls certificates: certificate, key or CA cannot be used") for line in lines
    )
