"""What each sender may, by its class; and what a gateway reports is what came."""

import json
from typing import Any

from headwater.config_quotas import Quota
from headwater.config_quotas import Quotas as Settings
from headwater.registry import ANONYMOUS, Identity
from ingest.contract import Receipt, Source
from ingest.decoders.catalogue import Catalogue
from ingest.quotas import Quotas
from ingest.rates import report

PUMP = Identity(name="pump-7", device="pump-7")
KEY = Identity(name="bridge", roles=("ingest",))


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Kept:
    """An intake that keeps what it is given."""

    def __init__(self) -> None:
        self.full = False
        self.messages: list[dict[str, Any]] = []

    source = staticmethod(Catalogue().source)

    def accept(
        self, identity: Identity, source: Source, payloads: list[bytes], receipt: Receipt, key: str = ""
    ) -> None:
        assert identity.trusted
        self.messages += [json.loads(payload) for payload in payloads]

    def reported(self, quotas: Quotas, most: int = 5) -> dict[str, dict[str, Any]]:
        self.messages.clear()
        report(quotas.rates(), self, "g-1", most)  # type: ignore[arg-type]
        return {one["device"]: one["fields"] for one in self.messages}


def test_requests_of_a_device_share_a_quota_whatever_they_come_over() -> None:
    clock = Clock()
    quotas = Quotas(Settings(default=Quota(publishes=10, size=0)), clock)
    assert quotas.wait(PUMP, "192.0.2.1", 30, 1000) == 0
    assert quotas.wait(PUMP, "192.0.2.1", 1, 10) == 2
    clock.now += 2
    assert quotas.wait(PUMP, "192.0.2.1", 1, 10) == 0
    for identity in (ANONYMOUS, KEY):
        assert all(quotas.wait(identity, "192.0.2.1", 1000, 10**9) == 0 for _ in range(3))


def test_a_class_that_nobody_has_configured_is_the_default() -> None:
    quotas = Quotas(Settings(classes={"fast": Quota(publishes=1000)}), Clock())
    assert quotas.of(Identity(name="a", device="a", quota="fast")).publishes == 1000
    assert quotas.of(Identity(name="a", device="a", quota="gone")).publishes == 100


def test_from_other_machines_so_many_connects_a_second_and_no_more() -> None:
    clock = Clock()
    quotas = Quotas(Settings(connects=3), clock)
    assert [quotas.has_room(loopback=False) for _ in range(4)] == [True, True, True, False]
    assert quotas.has_room(loopback=True)
    clock.now += 0.4
    assert [quotas.has_room(loopback=False) for _ in range(2)] == [True, False]


def test_rates_of_devices_addresses_and_the_gateway_are_messages_a_second() -> None:
    clock, kept = Clock(), Kept()
    quotas = Quotas(Settings(), clock)
    assert kept.reported(quotas) == {}
    meter = quotas.meter(PUMP, "192.0.2.1")
    assert meter is not None
    assert quotas.may_connect(PUMP, "pump-7 c1", "192.0.2.1")
    meter.took(20, 3000, clock.now)
    quotas.wait(KEY, "2001:db8::1", 40, 5000)
    quotas.refused("198.51.100.9")
    clock.now += 10
    found = kept.reported(quotas)
    assert set(found) == {
        "gateway:g-1", "rate:pump-7", "rate:bridge", "address:192.0.2.1", "address:2001:db8::1", "address:198.51.100.9",
    }  # fmt: skip
    assert found["gateway:g-1"] == {
        "publishes": 6, "bytes": 800, "connects": 0.1, "refused": 0.1, "devices": 2, "addresses": 3,
    }  # fmt: skip
    assert found["rate:pump-7"] == {"publishes": 2, "bytes": 300, "connects": 0.1, "refused": 0, "gateway": "g-1"}
    assert found["address:198.51.100.9"]["refused"] == 0.1

    meter.took(10, 100, clock.now)
    quotas.ended(meter)
    clock.now += 10
    assert kept.reported(quotas)["rate:pump-7"]["publishes"] == 1
    assert kept.reported(quotas) == {}


def test_only_those_who_sent_most_are_reported() -> None:
    clock, kept = Clock(), Kept()
    quotas = Quotas(Settings(), clock)
    for number in range(30):
        quotas.wait(Identity(name=f"d{number}", device=f"d{number}"), "192.0.2.1", number + 1, 10)
    clock.now += 1
    found = kept.reported(quotas, 3)
    assert [name for name in found if name.startswith("rate:")] == ["rate:d29", "rate:d28", "rate:d27"]


def test_whoever_is_trusted_is_not_counted() -> None:
    quotas = Quotas(Settings(), Clock())
    assert quotas.meter(ANONYMOUS, "127.0.0.1") is None
    assert Kept().reported(quotas) == {}


def test_large_payloads_of_a_device_have_a_rate_and_a_size_by_its_class() -> None:
    clock, kept = Clock(), Kept()
    quotas = Quotas(Settings(default=Quota(blobs=0.1, blob_size=1000)), clock)
    assert quotas.blob(PUMP) == 0
    quotas.blob_came(PUMP, "192.0.2.1", 6000)
    assert quotas.blob(PUMP) == 5
    clock.now += 5
    assert quotas.blob(PUMP) == 5  # the size is paid for, the rate is not
    clock.now += 5
    assert quotas.blob(PUMP) == 0
    assert all(quotas.blob(one) == 0 for one in (KEY, ANONYMOUS) for _ in range(100))
    found = kept.reported(quotas)["rate:pump-7"]
    assert (found["publishes"], found["bytes"]) == (0.1, 600)


def test_requests_of_a_key_have_a_rate_and_those_of_nobody_on_loopback_have_none() -> None:
    clock = Clock()
    quotas = Quotas(Settings(requests=2), clock)
    assert [quotas.request(KEY) for _ in range(21)] == [0] * 20 + [0.5]
    assert quotas.request(PUMP) == 0
    clock.now += 0.5
    assert quotas.request(KEY) == 0
    assert not any(quotas.request(ANONYMOUS) for _ in range(1000))
    assert not any(Quotas(Settings(requests=0), clock).request(KEY) for _ in range(1000))
