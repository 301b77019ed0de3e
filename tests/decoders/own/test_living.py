"""The catalogue follows the registry: a decoder that is added reads what comes from then on."""

import asyncio
from pathlib import Path

import pytest

from headwater.config_decoders import Decoders
from headwater.errors import ConfigError
from headwater.registry import DecoderText
from ingest.contract import Source
from ingest.decoders.knowledge import Knowledge
from ingest.decoders.living import open_decoders, take
from tests.ingest.intake_kit import bench

MAPPING = DecoderText(name="house", text="{topics: ['house/{device}/up'], fields: {t: temp}}")
SPOILT = DecoderText(name="spoilt", text="topics: 7")


async def test_a_topic_that_nobody_knew_is_read_from_the_next_message_on_although_it_was_rejected_before() -> None:
    living = open_decoders(Decoders())
    async with bench(catalogue=living.catalogue) as desk:
        source = desk.intake.source("house/h1/up", "peer")
        before = await desk.take({"temp": 1}, source=source)
        take(living, [SPOILT, MAPPING], Decoders())
        after = await desk.take({"temp": 2}, source=source)
        take(living, [], Decoders())
        gone = await desk.take({"temp": 3}, source=source)

        assert [[one.reason for one in receipt.rejections or ()] for receipt in (before, after, gone)] == [
            ["no_decoder"],
            [],
            ["no_decoder"],
        ]
        (message,) = desk.messages
        assert (message.device, message.fields, message.decoder) == ("h1", {"t": 2}, "house")
        assert message.raw == b'{"temp": 2}'


def test_patterns_of_the_configuration_stand_instead_of_a_familys_own() -> None:
    name = open_decoders(Decoders()).catalogue.families[0].name
    living = open_decoders(Decoders(topics={name: ("mine/{device#}/x",)}))

    assert living.catalogue.source("mine/a/b/x") == Source("mqtt", "mine/a/b/x", "a:b", name)
    with pytest.raises(ConfigError, match="no such family"):
        open_decoders(Decoders(topics={"nobody": ("a",)}))
    with pytest.raises(ConfigError, match="once at most"):
        open_decoders(Decoders(topics={name: ("{device}/{device}",)}))


def test_keys_of_bluetooth_devices_are_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("# mine\na4:c1:38:8d:18:b2 231d39c1d7cc1ab1aee224cd096db932\n\n")
    living = open_decoders(Decoders(ble_keys=file))
    assert living.knowledge.recall("ble-key:A4C1388D18B2") == bytes.fromhex("231d39c1d7cc1ab1aee224cd096db932")

    file.write_text("a4:c1:38:8d:18:b2 not-a-key")
    with pytest.raises(ConfigError, match="line 1"):
        open_decoders(Decoders(ble_keys=file))


class TestKnowledge:
    """What decoders know is bounded, and they are not heard twice in a row."""

    def test_the_longest_unused_is_forgotten_first(self) -> None:
        knowledge = Knowledge(most=2)
        knowledge.remember("a", 1)
        knowledge.remember("b", 2)
        assert knowledge.recall("a") == 1
        knowledge.remember("c", 3)
        assert [knowledge.recall(key) for key in "abc"] == [1, None, 3]

    async def test_a_question_is_passed_on_once_in_a_while(self) -> None:
        now, asked = [100.0], list[tuple[str, bytes]]()
        knowledge = Knowledge(every=60, clock=lambda: now[0])
        knowledge.ask("a/NCMD", b"early")
        knowledge.asked = lambda topic, payload: asked.append((topic, payload))
        for seconds in (0, 30, 61):
            now[0] = 100.0 + seconds
            knowledge.ask("a/NCMD", b"%d" % seconds)
        knowledge.ask("b/NCMD", b"other")
        assert asked == [], "never in the midst of decoding"
        await asyncio.sleep(0)
        assert asked == [("a/NCMD", b"0"), ("a/NCMD", b"61"), ("b/NCMD", b"other")]


PACKAGE = '''
from headwater.errors import Rejected
from ingest.contract import Payload
from ingest.decoders.draft import Draft
from ingest.decoders.family import Family


def decode(payload: Payload):
    """`t=21.5 h=40` on `pairs/DEVICE/up`."""
    draft = Draft(payload)
    for pair in payload.data.decode().split():
        name, equals, value = pair.partition("=")
        if not equals:
            raise Rejected("bad_shape", "pairs like t=21.5")
        draft.number(name, value)
    return [draft.message()]


PAIRS = Family("pairs", decode, topics=("pairs/{device}/up",))
'''


def install(folder: Path, name: str, entry: str, text: str) -> None:
    """As pip would: a module, and what its distribution says of it."""
    (folder / f"{name}.py").write_text(text)
    about = folder / f"{name}-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[headwater.decoders]\n{entry}\n")


async def test_a_decoder_of_an_installed_package_reads_its_topics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "pairs_for_headwater", "pairs = pairs_for_headwater:PAIRS", PACKAGE)
    monkeypatch.syspath_prepend(tmp_path)
    living = open_decoders(Decoders())
    async with bench(catalogue=living.catalogue) as desk:
        source = desk.intake.source("pairs/p1/up", "peer")
        await desk.take(b"t=21.5 state=on", source=source)
        refused = await desk.take(b"nothing", source=source)

        (message,) = desk.messages
        assert (message.device, message.fields, message.texts) == ("p1", {"t": 21.5}, {"state": "on"})
        assert [one.reason for one in refused.rejections or ()] == ["bad_shape"]


def test_a_package_whose_decoder_does_not_load_stops_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "broken_for_headwater", "broken = broken_for_headwater:NOTHING", "")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match="broken"):
        open_decoders(Decoders())
