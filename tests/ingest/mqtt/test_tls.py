"""The listener with TLS: who gets through the handshake, who that makes them, and what those cost who do not."""

import asyncio
import os
import resource
import shutil
import socket
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from headwater.config import load
from headwater.errors import ConfigError
from headwater.registry import Identity
from ingest.mqtt.reasons import ReasonCode
from ingest.tls import Contexts
from tests.certificates import Fleet, Pair
from tests.ingest.mqtt.kit import TIMEOUT, Client, Endpoint, endpoint, until


async def secure(here: Endpoint, context: ssl.SSLContext, version: int = 5) -> Client:
    port = int(here.server.tls_address.rpartition(":")[2])
    opened = asyncio.open_connection("127.0.0.1", port, ssl=context)
    return here.keep(Client(*await asyncio.wait_for(opened, TIMEOUT), version))


@asynccontextmanager
async def mutual(fleet: Fleet, **more: object) -> AsyncGenerator[Endpoint, None]:
    """An endpoint that asks for client certificates."""
    tls = {"client": "required", "client_ca": str(fleet.devices.certificate), "identity": "cn", **more}
    async with endpoint(tls=fleet.listener(**tls)) as made:
        yield made


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_client_speaks_in_private_as_it_would_in_public(
    fleet: Fleet, version: int, newest: ssl.TLSVersion
) -> None:
    async with endpoint(tls=fleet.listener()) as here:
        client = await secure(here, fleet.client(newest=newest), version)
        assert (await client.connect()).code == 0
        await client.subscribe("devices/#", qos=1)
        client.publish(b"x" * 100_000)
        kinds = [type(await client.packet()).__name__ for _ in range(2)]
        assert sorted(kinds) == ["Puback", "Publish"]
        assert here.intake.payloads == [b"x" * 100_000]
        await client.close()


async def test_an_old_tls_version_is_not_spoken(fleet: Fleet) -> None:
    async with endpoint(tls=fleet.listener(minimum="TLSv1.3")) as here:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await secure(here, fleet.client(newest=ssl.TLSVersion.TLSv1_2))
        await until(lambda: here.metrics.sample("tls_failed_total", transport="mqtt", reason="handshake") == 1)


async def test_the_certificates_common_name_is_the_device(fleet: Fleet, version: int) -> None:
    async with mutual(fleet) as here:
        client = await secure(here, fleet.client(fleet.pump), version)
        assert (await client.connect()).code == 0
        client.publish(b"1")
        await client.acknowledged(1)
        assert here.intake.accepted[0][0] == Identity(name="pump-7", device="pump-7")
        (shown,) = here.door.shown
        assert shown.cn == "pump-7"
        assert shown.sans == ("DNS:pump-7", "URI:urn:dev:pump-7")
        assert shown.issuer == "commonName=device-ca"
        assert len(shown.fingerprint) == 64
        assert int(shown.serial, 16) > 0
        await client.close()


async def test_the_registry_may_say_whose_a_certificate_is(fleet: Fleet) -> None:
    async with mutual(fleet, identity="registry") as here:
        stranger = await secure(here, fleet.client(fleet.pump))
        assert (await stranger.connect()).code == ReasonCode.BAD_USER_NAME_OR_PASSWORD
        (shown,) = here.door.shown
        here.door.known[shown.fingerprint] = Identity(name="valve-1", device="valve-1")
        client = await secure(here, fleet.client(fleet.pump))
        assert (await client.connect()).code == 0
        client.publish(b"1", topic="devices/valve-1/telemetry")
        await client.acknowledged(1)
        assert here.intake.accepted[0][0].name == "valve-1"


async def test_who_says_a_name_as_well_must_be_the_same_by_both(fleet: Fleet) -> None:
    async with mutual(fleet) as here:
        token, other = here.door.add("pump-7"), here.door.add("pump-8")
        for name, password, code in (
            ("pump-7", None, 0), ("pump-7", token, 0), ("pump-8", None, 0x86), ("pump-8", other, 0x86),
            ("pump-7", "wrong", 0x86),
        ):  # fmt: skip
            client = await secure(here, fleet.client(fleet.pump))
            secret = None if password is None else password.encode()
            assert (await client.connect(username=name, password=secret)).code == code
            await client.close()


async def test_a_certificate_may_open_the_line_and_no_more(fleet: Fleet) -> None:
    async with mutual(fleet, identity="none") as here:
        token = here.door.add("valve-1")
        client = await secure(here, fleet.client(fleet.pump))
        assert (await client.connect(username="valve-1", password=token.encode())).code == 0
        assert here.door.shown == []


async def refused(here: Endpoint, context: ssl.SSLContext) -> bool:
    """TLS 1.3 tells a client only with the first read that its certificate was not taken."""
    try:
        client = await secure(here, context)
        return await client.packet() is None
    except (ssl.SSLError, ConnectionError):
        return True


async def test_foreign_expired_and_missing_certificates_do_not_get_through(fleet: Fleet) -> None:
    async with mutual(fleet) as here:
        expired = fleet.devices.issue("pump-9", days=-1)
        for_servers = fleet.devices.issue("pump-6", "extendedKeyUsage=serverAuth")
        for shown in (fleet.foreign, expired, for_servers, None):
            assert await refused(here, fleet.client(shown))
        await until(lambda: here.metrics.sample("connections", transport="mqtt") == 0)
        assert here.door.shown == []
        assert (await (await secure(here, fleet.client(fleet.pump))).connect()).code == 0


async def test_where_certificates_are_optional_a_token_does_too(fleet: Fleet) -> None:
    async with mutual(fleet, client="optional") as here:
        token = here.door.add("valve-1")
        client = await secure(here, fleet.client())
        assert (await client.connect(username="valve-1", password=token.encode())).code == 0
        assert await refused(here, fleet.client(fleet.foreign))


async def test_a_subject_with_two_common_names_is_nobody(fleet: Fleet) -> None:
    twice = fleet.devices.issue("two", subject="/CN=pump-7/CN=admin")
    async with mutual(fleet) as here:
        await (await secure(here, fleet.client(twice))).connect()
        assert here.door.shown[0].cn == ""


async def test_who_does_not_shake_hands_is_closed_in_time_and_harms_nobody(fleet: Fleet) -> None:
    async with endpoint(tls=fleet.listener(handshake_time=0.3)) as here:
        port = int(here.server.tls_address.rpartition(":")[2])
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(50)]
        for _, writer in silent[:25]:
            writer.write(b"\x16\x03\x01\x02")  # a handshake that begins and does not go on
        assert (await (await secure(here, fleet.client())).connect()).code == 0
        for reader, writer in silent:
            assert await asyncio.wait_for(reader.read(), TIMEOUT) == b""
            writer.close()
        await until(lambda: here.metrics.sample("tls_failed_total", transport="mqtt", reason="gone") == 50)


async def test_plain_mqtt_and_http_and_noise_are_not_taken_for_tls(fleet: Fleet) -> None:
    async with endpoint(tls=fleet.listener()) as here:
        port = int(here.server.tls_address.rpartition(":")[2])
        for said in (b"\x10\x0c\0\4MQTT\5\2\0\0\0\0\0", b"GET / HTTP/1.1\r\n\r\n", os.urandom(2000)):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(said)
            answer = await asyncio.wait_for(reader.read(), TIMEOUT)
            assert not answer or answer[0] == 0x15  # an alert, if anything
            writer.close()
        assert (await (await secure(here, fleet.client())).connect()).code == 0


async def test_handshakes_under_way_count_as_connections(fleet: Fleet) -> None:
    async with endpoint(connections=1, tls=fleet.listener()) as here:
        port = int(here.server.tls_address.rpartition(":")[2])
        waiting = [await asyncio.open_connection("127.0.0.1", port) for _ in range(101)]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await asyncio.wait_for(reader.read(), TIMEOUT) == b""
        assert here.metrics.sample("tls_failed_total", transport="mqtt", reason="full") == 1
        for _, each in (*waiting, (reader, writer)):
            each.close()


def install(pair: Pair, folder: Path) -> dict[str, object]:
    """Put them where the configuration says, one after the other, as people do."""
    shutil.copy(pair.certificate, folder / "c.pem")
    shutil.copy(pair.key, folder / "k.pem")
    return {"listen": "127.0.0.1:0", "certificate": str(folder / "c.pem"), "key": str(folder / "k.pem")}


async def shown_by(here: Endpoint, fleet: Fleet) -> str:
    client = await secure(here, fleet.client())
    assert (await client.connect()).code == 0
    secured: ssl.SSLObject = client.writer.get_extra_info("ssl_object")
    found = secured.getpeercert()
    await client.close()
    assert found is not None
    return str(found["serialNumber"])


async def test_a_renewed_certificate_serves_without_a_restart_and_cuts_nobody_off(fleet: Fleet, tmp_path: Path) -> None:
    async with endpoint(tls=install(fleet.server, tmp_path)) as here:
        listener = here.server._tls  # pyright: ignore[reportPrivateUsage]
        assert listener is not None
        old = await secure(here, fleet.client())
        await old.connect("old")
        before = await shown_by(here, fleet)
        renewed = fleet.servers.server("renewed")
        shutil.copy(renewed.certificate, tmp_path / "c.pem")
        assert not listener.contexts.renew()  # the key is not there yet
        assert await shown_by(here, fleet) == before
        install(renewed, tmp_path)
        assert listener.contexts.renew()
        assert not listener.contexts.renew()
        assert await shown_by(here, fleet) != before
        await old.nothing()


def test_files_that_cannot_be_used_are_named_before_anything_starts(fleet: Fleet, tmp_path: Path) -> None:
    good = load(environment={}, mqtt__tls=fleet.listener()).mqtt.tls
    (tmp_path / "noise.pem").write_text("noise")
    for change in (
        {"certificate": str(tmp_path / "none.pem")}, {"key": str(fleet.pump.key)},
        {"certificate": str(tmp_path / "noise.pem")}, {"client": "required", "client_ca": str(tmp_path / "noise.pem")},
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=r"mqtt\.tls: "):
            Contexts(good.model_copy(update=change), "mqtt.tls")


def test_a_listener_without_its_files_is_a_mistake_in_the_configuration() -> None:
    with pytest.raises(ConfigError, match="certificate"):
        load(environment={}, mqtt__tls={"listen": "127.0.0.1:0"})
    with pytest.raises(ConfigError, match="HOST:PORT"):
        load(environment={}, http__tls={"listen": "nowhere"})
    with pytest.raises(ConfigError, match="client_ca"):
        load(environment={}, mqtt__tls={"listen": "x:1", "certificate": "c", "key": "k", "client": "required"})


async def test_who_shakes_hands_and_then_says_nothing_is_closed_in_time(fleet: Fleet) -> None:
    async with endpoint(tls=fleet.listener()) as here:
        silent = [await secure(here, fleet.client()) for _ in range(20)]
        for client in silent[:10]:
            client.send_bytes(b"\x10\x10\0\4MQ")
        await until(lambda: len(here.broker.connections) == 20)
        here.after(11)
        for client in silent:
            await client.closed()
        await until(lambda: not here.broker.connections)


async def test_where_no_more_files_can_be_opened_the_rest_waits_and_is_served_later(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.tls._REST", 0.05)
    async with endpoint(tls=fleet.listener()) as here:
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        context = fleet.client()
        port = int(here.server.tls_address.rpartition(":")[2])
        line = socket.create_connection(("127.0.0.1", port))
        lowest = os.dup(line.fileno())
        os.close(lowest)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, before[1]))
        try:
            await asyncio.sleep(0.12)  # long enough for two attempts
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        line.setblocking(False)
        opened = asyncio.open_connection(sock=line, ssl=context, server_hostname="localhost")
        client = here.keep(Client(*await asyncio.wait_for(opened, TIMEOUT), 5))
        assert (await client.connect()).code == 0


async def test_a_blocked_address_gets_no_handshake(fleet: Fleet) -> None:
    async with endpoint(tls=fleet.listener()) as here:
        here.door.shut_out.add("127.0.0.1")
        port = int(here.server.tls_address.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await asyncio.wait_for(reader.read(), TIMEOUT) == b""
        writer.close()
        assert here.metrics.sample("blocked_total", transport="mqtt") == 1
        here.door.shut_out.clear()
        assert (await (await secure(here, fleet.client())).connect()).code == 0
