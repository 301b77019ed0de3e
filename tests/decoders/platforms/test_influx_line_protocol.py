"""Line protocol: what it may look like, and what is none of it."""

import pytest

from headwater.errors import Rejected
from ingest.decoders.platforms.influx_line_protocol import decode, recognises
from ingest.decoders.platforms.lines import Line, lines
from tests.decoders.platforms.kit import NOW, messages, only, payload, reason

WEATHER = "weather,device=roof,site=north temperature=21.5,raining=false 1763700000000000000"


def test_a_line_is_a_message_of_the_device_its_tag_names() -> None:
    made = only(decode, payload(WEATHER, device="path"))
    assert (made.device, made.at) == ("roof", NOW)
    assert made.fields == {"weather.temperature": 21.5, "weather.raining": False}
    assert made.texts == {"device": "roof", "site": "north"}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("c\\ p\\,u value=42", Line("c p,u", {}, {"value": 42.0}, None)),
        ("c=pu value=42", Line("c=pu", {}, {"value": 42.0}, None)),
        ("cpu,ho\\st=a value=42", Line("cpu", {"ho\\st": "a"}, {"value": 42.0}, None)),
        ("cpu,ho\\=st=a\\,b value=42", Line("cpu", {"ho=st": "a,b"}, {"value": 42.0}, None)),
        ("cpu,host=two\\\\ words value=42", Line("cpu", {"host": "two\\ words"}, {"value": 42.0}, None)),
        ("cpu,host=two\\\\\\ words value=42", Line("cpu", {"host": "two\\\\ words"}, {"value": 42.0}, None)),
        ("cpu va\\ lue=1i,b=2u", Line("cpu", {}, {"va lue": 1, "b": 2}, None)),
        ('cpu a="x, y=1 \\"z\\" \\\\",b=t 7', Line("cpu", {}, {"a": 'x, y=1 "z" \\', "b": True}, 7)),
        ('cpu a="4\n2" -5', Line("cpu", {}, {"a": "4\n2"}, -5)),
        ("cpu a=-1.5e-3,b=.5,c=5.,d=FALSE\r", Line("cpu", {}, {"a": -0.0015, "b": 0.5, "c": 5.0, "d": False}, None)),
        ("  cpu\ta=1  1465839830100400200 ", Line("cpu", {}, {"a": 1.0}, 1465839830100400200)),
        ("温度,场所=東京 値=1", Line("温度", {"场所": "東京"}, {"値": 1.0}, None)),
    ],
)
def test_everything_that_can_be_escaped_is(text: str, line: Line) -> None:
    assert list(lines(text)) == [line]


@pytest.mark.parametrize(
    "text",
    [
        "cpu",
        "\\\\",
        "cpu value",
        "cpu value=",
        "cpu value=invalid",
        "cpu value=9223372036854775808i",
        "cpu value=18446744073709551616u",
        "cpu value=-1u",
        "cpu value=nan",
        "cpu value=1_000",
        'cpu value="open',
        "cpu,host value=1",
        "cpu,host= value=1",
        "cpu value=1 now",
        "cpu value=1,",
        ",host=a value=1",
    ],
)
def test_what_is_no_line_is_refused(text: str) -> None:
    assert list(lines(text)) == [1]
    assert reason(decode, payload(text, device="a")) == "bad_value"


def test_a_bad_line_is_refused_by_its_number_and_the_others_are_taken() -> None:
    text = '# comment\n\ncpu a=1\ncpu a="two\nlines"\ncpu a\n  \ncpu a=3'
    first, second, bad, third = decode(payload(text, device="a"))
    assert isinstance(bad, Rejected)
    assert bad.detail.startswith("line 6 ")
    assert [type(one).__name__ for one in (first, second, third)] == ["Message"] * 3


def test_nothing_at_all_is_nothing() -> None:
    assert decode(payload("", device="a")) == ()
    assert decode(payload("# only a comment\n\n", device="a")) == []


@pytest.mark.parametrize(
    ("time", "query", "at"),
    [
        ("1763700000000000000", "", NOW),
        ("1763700000000000000", "precision=ns", NOW),
        ("1763700000000", "", NOW),
        ("1763700000", "", NOW),
        ("1763700000000", "db=x&precision=ms", NOW),
        ("1763700000000000", "precision=u", NOW),
        ("29395000", "precision=m", NOW),
        ("100", "precision=s", 100_000_000),
        ("0", "", None),
        ("-5", "", None),
        ("-5", "precision=s", None),
        ("99999999999999999999", "precision=h", None),
    ],
)
def test_the_precision_says_what_the_time_counts_else_its_size_does(time: str, query: str, at: int | None) -> None:
    assert only(decode, payload(f"cpu a=1 {time}", device="a", query=query)).at == at


def test_an_unknown_precision_is_refused() -> None:
    assert reason(decode, payload("cpu a=1 5", device="a", query="precision=fortnight")) == "bad_value"


def test_without_a_tag_the_path_names_the_device_and_without_either_nothing_does() -> None:
    assert only(decode, payload("cpu a=1", device="pump-7")).device == "pump-7"
    assert only(decode, payload("cpu,host=web\\ 1 a=1", device="pump-7")).device == "web_1"
    assert reason(decode, payload("cpu a=1")) == "missing_device"


def test_position_battery_and_numbers_beyond_floats() -> None:
    made = only(decode, payload("gps lat=52.5,lon=13.4,battery=81i,odo=9223372036854775807i", device="car"))
    assert made.position is not None
    assert (made.position.lat, made.position.lon) == (52.5, 13.4)
    assert made.fields["battery"] == 81
    assert made.texts["gps.odo"] == "9223372036854775807"


def test_json_on_the_same_topic_is_read_as_telegrafs() -> None:
    made = only(
        decode, payload('{"name":"cpu","tags":{"host":"h"},"fields":{"a":1},"timestamp":1763700000}', "telegraf/h/cpu")
    )
    assert made.fields == {"cpu.a": 1}


@pytest.mark.parametrize(("data", "known"), [(WEATHER, True), ("cpu value=42", True), ('cpu a="x"', True), ("cpu", False), ('{"a": "b c=1"}', False), ("lat=1&lon=2", False), ("hello world", False), ("a b=c", False)])  # fmt: skip
def test_it_is_known_by_its_first_line(data: str, *, known: bool) -> None:
    assert recognises(data.encode()) is known


def test_many_lines_come_out_in_their_order() -> None:
    made = messages(decode, payload("\n".join(f"cpu a={n}" for n in range(500)), device="a"))
    assert [one.fields["cpu.a"] for one in made] == list(range(500))
