"""Homie: one topic a value; what a device said of itself says how to read it."""

import json

import pytest

from ingest.decoders.catalogue import Catalogue
from ingest.decoders.platforms import PLATFORMS
from ingest.decoders.platforms.homie import decode
from tests.decoders.memory import Memory
from tests.decoders.platforms.kit import messages, only, payload, reason

DESCRIPTION = {
    "homie": "5.0",
    "name": "Supercar",
    "children": ["wheel-1", "wheel-2"],
    "nodes": {
        "engine": {
            "name": "Engine",
            "properties": {
                "temperature": {"datatype": "float", "unit": "°F"},
                "plate": {"datatype": "string"},
                "speed": {"datatype": "integer", "unit": "rpm"},
            },
        }
    },
}


def described() -> Memory:
    memory = Memory()
    (about,) = messages(decode, payload(json.dumps(DESCRIPTION), "homie/5/super-car/$description", context=memory))
    assert about.kind == "description"
    assert {
        "name": "Supercar",
        "unit.engine.temperature": "°C",
        "unit.engine.speed": "rpm",
    }.items() <= about.texts.items()
    return memory


@pytest.mark.parametrize("root", ["homie/5/super-car", "homie/super-car"])
def test_a_value_stands_alone_on_its_topic(root: str) -> None:
    made = only(decode, payload("21.5", f"{root}/engine/temperature"))
    assert (made.device, made.kind, made.fields) == ("super-car", "telemetry", {"engine.temperature": 21.5})
    assert only(decode, payload("true", f"{root}/light/power")).fields == {"light.power": True}
    assert only(decode, payload("heating", f"{root}/engine/mode")).texts == {"engine.mode": "heating"}


def test_what_was_described_says_how_to_read_it() -> None:
    memory = described()
    assert only(decode, payload("212", "homie/5/super-car/engine/temperature", context=memory)).fields == {
        "engine.temperature": 100
    }
    assert only(decode, payload("007", "homie/5/super-car/engine/plate", context=memory)).texts == {
        "engine.plate": "007"
    }
    noted = only(decode, payload("fast", "homie/5/super-car/engine/speed", context=memory))
    assert noted.texts == {"note.engine.speed": "fast is no number"}


def test_earlier_conventions_say_it_topic_by_topic() -> None:
    memory = Memory()
    assert decode(payload("string", "homie/car/engine/plate/$datatype", context=memory)) == ()
    unit = only(decode, payload("°F", "homie/car/engine/temp/$unit", context=memory))
    assert (unit.kind, unit.texts) == ("description", {"unit.engine.temp": "°C"})
    assert only(decode, payload("007", "homie/car/engine/plate", context=memory)).texts == {"engine.plate": "007"}
    assert only(decode, payload("32", "homie/car/engine/temp", context=memory)).fields == {"engine.temp": 0}


@pytest.mark.parametrize(
    ("topic", "word", "texts"),
    [
        ("homie/5/car/$state", "ready", {"state": "ready", "status": "online"}),
        ("homie/car/$state", "lost", {"state": "lost", "status": "offline"}),
        ("homie/car/$state", "init", {"state": "init"}),
        ("homie/car/$online", "true", {"state": "ready", "status": "online"}),
    ],
)
def test_the_state_is_a_status(topic: str, word: str, texts: dict[str, str]) -> None:
    made = only(decode, payload(word, topic))
    assert (made.device, made.kind, made.texts) == ("car", "status", texts)


def test_a_lost_root_takes_its_children_with_it() -> None:
    memory = described()
    made = messages(decode, payload("lost", "homie/5/super-car/$state", context=memory))
    assert [(one.device, one.texts["status"]) for one in made] == [
        (name, "offline") for name in ("super-car", "wheel-1", "wheel-2")
    ]
    assert len(decode(payload("disconnected", "homie/5/super-car/$state", context=memory))) == 1


def test_commands_logs_and_what_it_is() -> None:
    for topic in ("homie/5/car/light/power/set", "homie/5/car/light/power/$target"):
        made = only(decode, payload("true", topic))
        assert (made.kind, {name.removeprefix("command."): value for name, value in made.fields.items()}) == (
            "command",
            {"light.power": True},
        )
    alert = only(decode, payload("Battery is low", "homie/5/car/$alert/battery"))
    assert (alert.kind, alert.texts) == ("event", {"event": "alert.battery", "text": "Battery is low"})
    about = only(decode, payload("2.1", "homie/car/$fw/version"))
    assert (about.kind, about.texts) == ("description", {"firmware": "2.1"})
    assert only(decode, payload("81", "homie/car/$stats/battery")).fields == {"battery": 81}


@pytest.mark.parametrize(
    ("topic", "data"),
    [
        ("homie/car/$nodes", "engine"),
        ("homie/5/$broadcast/alert", "x"),
        ("homie/5/car/engine/temperature", ""),
        ("homie/5/car/engine/plate", "\0"),
        ("homie/car/engine/$name", "Engine"),
        ("homie/car/engine/temperature/$settable", "true"),
        ("homie/car/$stats/interval", "60"),
    ],
)
def test_the_rest_says_nothing(topic: str, data: str) -> None:
    assert decode(payload(data, topic)) == ()


def test_it_needs_its_topic_and_a_description_that_is_json() -> None:
    assert reason(decode, payload("21.5", device="car")) == "bad_topic"
    assert reason(decode, payload("{", "homie/5/car/$description")) == "bad_json"


@pytest.mark.parametrize(("topic", "device"), [("homie/5/car/engine/temp", "car"), ("homie/car/$state", "car")])
def test_its_topics_name_the_device(topic: str, device: str) -> None:
    found = Catalogue(PLATFORMS).source(topic)
    assert (found.decoder, found.device) == ("homie", device)
