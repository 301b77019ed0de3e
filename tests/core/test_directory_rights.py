"""Groups, certificates, rotation with an overlap, blocked addresses: what follows from records in any order."""

from itertools import permutations

import pytest

from headwater.credentials import digest
from headwater.directory import Directory
from headwater.errors import Refused
from headwater.registry import Block, Certificate, Device, Group, HeldCertificate, Identity, Record
from tests.core.registry_kit import entry, ready

FINGER, OTHER = "a" * 64, "b" * 64


def known(*records: Record, wall: int = 0) -> Directory:
    directory = Directory(wall=lambda: wall)
    directory.apply([entry(record) for record in records])
    directory.caught_up(float("inf"))
    return directory


def of(directory: Directory, name: str, token: str) -> Identity:
    return directory.identify(name, token, loopback=False)


def test_a_group_grants_its_devices_topics_whatever_is_known_first() -> None:
    pump = Device("pump-7", digest("t"), groups=("hall",), version=1)
    hall = Group("hall", publish=("{group}/{device}/out",), subscribe=("{group}/#",), quota="large", version=1)
    for records in permutations((pump, hall)):
        identity = of(known(*records), "pump-7", "t")
        assert (identity.publish, identity.subscribe) == (("hall/pump-7/out",), ("hall/#",))
        assert identity.quota == "large"


def test_a_group_that_changes_or_goes_changes_the_rights_of_all_in_it_and_says_so() -> None:
    directory = ready([entry(Device(name, digest(name), groups=("hall",), version=1)) for name in ("b", "a")])
    told: list[str] = []
    directory.watch(told.append)
    directory.apply([entry(Group("hall", subscribe=("x",), version=1))])
    assert told == ["hall", "a", "b"]
    assert of(directory, "a", "a").subscribe == ("x",)
    directory.apply([entry(Group("hall", removed=True, version=2))])
    assert of(directory, "a", "a").subscribe == ()


def test_a_gateway_speaks_for_whoever_is_in_a_group_at_that_moment() -> None:
    directory = known(Device("gw", digest("t"), speaks_for_groups=("tags",), version=1))
    gateway = of(directory, "gw", "t")
    assert not gateway.may_send_for("tag-1")
    directory.apply([entry(Device("tag-1", groups=("tags",), version=1))])
    assert gateway.may_send_for("tag-1")
    directory.apply([entry(Device("tag-1", version=2))])
    assert not gateway.may_send_for("tag-1")


@pytest.mark.parametrize(("when", "is_good"), [(99, True), (100, False)])
def test_after_a_rotation_the_old_token_is_good_until_its_time(when: int, is_good: bool) -> None:
    device = Device("pump-7", digest("new"), previous=digest("old"), previous_until=100, version=2)
    directory = known(device, wall=when)
    assert of(directory, "pump-7", "new") == of(directory, "", "new")
    for name in ("pump-7", ""):
        if is_good:
            assert of(directory, name, "old").device == "pump-7"
        else:
            with pytest.raises(Refused):
                of(directory, name, "old")


def test_who_came_in_by_what_ends_is_let_in_until_then_and_not_for_as_long_as_the_connection_holds() -> None:
    held = (HeldCertificate(FINGER, expires=90), HeldCertificate(OTHER))
    device = Device("pump-7", digest("new"), previous=digest("old"), previous_until=100, certificates=held, version=2)
    directory = known(device, wall=50)
    assert [of(directory, name, "old").until for name in ("pump-7", "")] == [100, 100]
    assert of(directory, "pump-7", "new").until == 0
    ends = [directory.identify_certificate(Certificate(one, "pump-7"), "registry").until for one in (FINGER, OTHER)]
    assert ends == [90, 0]


def test_an_empty_token_is_never_good() -> None:
    directory = known(Device("pump-7", previous_until=2**60, version=1))
    for token in ("", digest("")):
        with pytest.raises(Refused):
            of(directory, "pump-7", token)


def test_a_certificate_of_the_registry_is_its_devices_until_it_ends_or_is_taken_away() -> None:
    shown = Certificate(FINGER, "whoever")
    device = Device("pump-7", certificates=(HeldCertificate(FINGER, expires=100), HeldCertificate(OTHER)), version=1)
    directory = known(device, wall=99)
    assert directory.identify_certificate(shown, "registry").device == "pump-7"
    with pytest.raises(Refused, match="expired"):
        known(device, wall=100).identify_certificate(shown, "registry")
    directory.apply([entry(Device("pump-7", certificates=(HeldCertificate(OTHER),), version=2))])
    with pytest.raises(Refused):
        directory.identify_certificate(shown, "registry")
    assert directory.identify_certificate(Certificate(OTHER, ""), "registry").device == "pump-7"


@pytest.mark.parametrize("by", ["registry", "cn", "san"])
@pytest.mark.parametrize("how", [{"revoked": (FINGER,)}, {"disabled": True}, {"removed": True}])
def test_a_revoked_certificate_or_device_is_refused(by: str, how: dict[str, object]) -> None:
    device = Device("pump-7", certificates=(HeldCertificate(FINGER),), version=1)
    shown = Certificate(FINGER, "pump-7", ("DNS:pump-7",))
    directory = known(device)
    assert directory.identify_certificate(shown, by).device == "pump-7"  # type: ignore[arg-type]
    directory.apply([entry(Device("pump-7", certificates=device.certificates, version=2, **how))])  # type: ignore[arg-type]
    with pytest.raises(Refused):
        directory.identify_certificate(shown, by)  # type: ignore[arg-type]


@pytest.mark.parametrize("sans", [(), ("DNS:a", "DNS:b"), ("DNS:a/b",), ("URI:a",)])
def test_a_certificate_that_names_not_exactly_one_device_is_refused(sans: tuple[str, ...]) -> None:
    with pytest.raises(Refused):
        known().identify_certificate(Certificate(FINGER, "pump-7", sans), "san")


@pytest.mark.parametrize(
    ("address", "when", "is_blocked"),
    [
        ("192.0.2.77", 0, True), ("192.0.3.1", 0, False), ("::ffff:192.0.2.1", 0, True), ("2001:db8::1", 99, True),
        ("2001:db8::1", 100, False), ("2001:db8::2", 0, False), ("", 0, False), ("a unix socket", 0, False),
    ],
)  # fmt: skip
def test_a_blocked_network_is_refused_until_its_time(address: str, when: int, is_blocked: bool) -> None:
    directory = known(Block("192.0.2.0/24", version=1), Block("2001:db8::1/128", until=100, version=1), wall=when)
    assert directory.blocked(address) is is_blocked


def test_a_block_that_is_removed_blocks_no_more() -> None:
    directory = known(Block("192.0.2.0/24", version=1), Block("198.51.100.0/24", version=1))
    directory.apply([entry(Block("192.0.2.0/24", removed=True, version=2))])
    assert not directory.blocked("192.0.2.1")
    assert directory.blocked("198.51.100.1")
