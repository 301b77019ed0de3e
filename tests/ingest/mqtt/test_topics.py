"""Topic names and filters, and who may hear what."""

import pytest

from headwater.errors import Reason, RefusedReason
from headwater.registry import ANONYMOUS, Identity
from ingest.decoders.catalogue import Catalogue
from ingest.mqtt.reasons import OF_REFUSAL, OF_REJECTION, MalformedPacket, ReasonCode
from ingest.mqtt.rights import Rights
from ingest.mqtt.topics import LEVELS, TOPIC_LENGTH, check_filter, check_name

RIGHTS = Rights(Catalogue().source)


@pytest.mark.parametrize(
    "name", ["a", "/", "a/b", "/a", "a//b", "$SYS/x", "ü" * (TOPIC_LENGTH // 2), "/" * (LEVELS - 1)]
)
def test_these_are_topic_names(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize(
    "name", ["", "+", "a/#", "a+", "#", "a" * (TOPIC_LENGTH + 1), "ü" * TOPIC_LENGTH, "/" * LEVELS]
)
def test_these_are_not(name: str) -> None:
    with pytest.raises(MalformedPacket) as caught:
        check_name(name)
    assert caught.value.code is ReasonCode.TOPIC_NAME_INVALID


@pytest.mark.parametrize("pattern", ["a", "#", "+", "a/#", "+/+/#", "/", "/+", "a/+/b", "$SYS/#"])
def test_these_are_topic_filters(pattern: str) -> None:
    check_filter(pattern)


@pytest.mark.parametrize("pattern", ["", "a#", "a/#/b", "#/a", "a+", "+a/b", "a/b+", "##", "/" * LEVELS])
def test_these_are_not_filters(pattern: str) -> None:
    with pytest.raises(MalformedPacket) as caught:
        check_filter(pattern)
    assert caught.value.code is ReasonCode.TOPIC_FILTER_INVALID


def test_a_shared_subscription_has_a_name_and_a_filter() -> None:
    for good in ("$share/group/a", "$share/group/#", "$share/group//", "$share/g/+/b"):
        check_filter(good)
    for bad in ("$share", "$share/", "$share/group", "$share/group/", "$share//a", "$share/a+/b", "$share/#/b"):
        with pytest.raises(MalformedPacket) as caught:
            check_filter(bad)
        assert caught.value.code is ReasonCode.TOPIC_FILTER_INVALID


DEVICE = Identity(name="gw", device="gw", speaks_for=("child-1", "tag-*"))


@pytest.mark.parametrize(
    "pattern", ["devices/gw/#", "devices/gw/commands", "devices/child-1/+", "devices/tag-77/#", "devices/gw/+/x"]
)
def test_a_device_hears_itself_and_its_children(pattern: str) -> None:
    assert RIGHTS.may_subscribe(DEVICE, pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "#",
        "+/#",
        "devices/#",
        "devices/+/#",
        "+/gw/#",
        "devices/other/#",
        "devices",
        "devices/child-10/#",
        "gw/#",
        "devices//x",
    ],
)
def test_a_device_hears_nobody_else(pattern: str) -> None:
    assert not RIGHTS.may_subscribe(DEVICE, pattern)


def test_a_gateway_for_everyone_still_names_the_device_it_hears() -> None:
    everyone = Identity(name="gw", device="gw", speaks_for=("*",))
    assert RIGHTS.may_subscribe(everyone, "devices/any/#")
    assert not RIGHTS.may_subscribe(everyone, "devices/+/#")


def test_who_may_read_hears_everything_and_who_may_only_send_hears_nothing() -> None:
    for identity in (ANONYMOUS, Identity("r", roles=("read",)), Identity("a", roles=("admin",))):
        assert RIGHTS.may_subscribe(identity, "#")
    assert not RIGHTS.may_subscribe(Identity("i", roles=("ingest",)), "devices/d1/#")


def test_every_reason_of_ours_has_a_reason_code() -> None:
    assert set(OF_REJECTION) == set(Reason.__args__)
    assert all(code >= 0x80 for code in OF_REJECTION.values())
    assert set(OF_REFUSAL) == set(RefusedReason.__args__)
