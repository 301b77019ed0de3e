"""A session of a revoked device, connected to one of two gateways on one Kafka."""

from pathlib import Path

import pytest

from headwater.commands.client import Client
from tests.system.program import free_port
from tests.system.stack import Stack
from tests.system.test_certificates import NOT_AUTHORIZED, last_word, make, secured, session
from tests.taking import within

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]


def test_a_session_of_a_revoked_device_is_cut_on_every_gateway_within_a_second(stack: Stack, tmp_path: Path):
    make(tmp_path, "ca", "init")
    make(tmp_path, "ca", "server", "127.0.0.1", "--out", "tls")
    make(tmp_path, "ca", "device", "pump-7")
    ports = [free_port(), free_port()]
    parts = [stack.api()]
    for port in ports:
        stack.settings.update(secured(port, tmp_path))
        stack.http, stack.mqtt = free_port(), free_port()
        parts.append(stack.gateway())
        stack.settings = {key: value for key, value in stack.settings.items() if "MQTT__TLS" not in key}
    for part in parts:
        part.wait_ready(150)
    there = {"HEADWATER_URL": f"http://127.0.0.1:{stack.asking}"}
    make(tmp_path, "devices", "add", "pump-7", more=there)
    make(tmp_path, "devices", "certify", "pump-7", "--certificate", "pump-7.pem", more=there)
    with session(ports[0], tmp_path) as one, session(ports[1], tmp_path, client=b"pump-8") as other:
        client = Client(there["HEADWATER_URL"])
        (held,) = client.call("GET", "/api/v1/registry/devices/pump-7").body["certificates"]
        client.call("DELETE", f"/api/v1/registry/devices/pump-7/certificates/{held['fingerprint']}")
        with within(1):
            assert [last_word(one, 1), last_word(other, 1)] == [NOT_AUTHORIZED] * 2
