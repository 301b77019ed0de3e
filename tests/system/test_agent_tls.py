"""The agent over TLS with a client certificate: as whom it sends, and what becomes of its lines when that is revoked."""

from pathlib import Path

import pytest

from tests.system.program import Program, free_port
from tests.system.test_agent import Agent, lines, sent, values
from tests.system.test_certificates import make, secured

pytestmark = [pytest.mark.process, pytest.mark.timeout(240)]


def test_an_agent_with_a_certificate_sends_for_its_devices_and_keeps_what_it_may_not(tmp_path: Path) -> None:
    make(tmp_path, "ca", "init")
    make(tmp_path, "ca", "server", "127.0.0.1", "--out", "tls")
    port = free_port()
    https = {name.replace("MQTT", "HTTP"): value for name, value in secured(port, tmp_path).items()}
    program = Program(tmp_path / "data", {**https, "HEADWATER_QUOTAS__DEFAULT__PUBLISHES": "0"})
    file = tmp_path / "readings.ndjson"
    authority = ("--ca", str(tmp_path / "ca"), "--out")

    def agent(folder: Path) -> Agent:
        shown = ("--cert", str(folder / "site-1.pem"), "--key", str(folder / "site-1-key.pem"))
        trusted = ("--ca", str(tmp_path / "ca/ca.pem"))
        return Agent(tmp_path, f"https://127.0.0.1:{port}", "--file", str(file), *trusted, *shown)

    one, two = agent(tmp_path), agent(tmp_path / "new")
    try:
        program.start()
        program.run("devices", "add", "site-1", "--speaks-for", "meter-*", "--cert", *authority, str(tmp_path))
        file.write_bytes(lines(0, 1500) + b'{"device":"pump-7","fields":{"n":1}}\n')
        one.start()
        said = one.wait_until(sent(1500))
        assert "1 rejected" in said  # it may not speak for that one
        program.kill()
        with file.open("ab") as more:
            more.write(lines(1500, 2000))
        one.wait_until(lambda said: said.startswith("500 waiting"))
        program.start(failpoints="ingest.appended=kill@1")  # it has logged a batch, and cannot say so any more
        assert program.wait_exit(30) == -9
        program.start()
        one.wait_until(sent(2000))

        program.run("devices", "certify", "site-1", *authority, str(tmp_path / "new"))
        program.run("devices", "revoke", "site-1", str(tmp_path / "site-1.pem"))
        with file.open("ab") as more:
            more.write(lines(2000, 2100))
        one.wait_until(lambda said: said.startswith("100 waiting"))
        one.wait_said("knows no such certificate")
        assert one.status().startswith("100 waiting")
        assert one.stop() == 0
        two.start()
        two.wait_until(sent(2100))
        assert values(program) == list(range(2100))
        assert program.get("/api/v1/devices/meter-1/latest")["via"] == "site-1"
    finally:
        one.kill()
        two.kill()
        program.kill()
