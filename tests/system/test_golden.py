"""One behaviour: the same recorded traffic through both profiles, and the API gives the same answers.

What differs between any two runs is named in `MOMENT` and nothing else is left out: when a message arrived, where
it came to stand on its log, and the ids that the front door gives to what it could not read.
"""

import json
import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from math import acos, cos, radians, sin
from typing import Any, NamedTuple, cast

import pytest

from tests.services.server import Server
from tests.system import golden
from tests.system.golden import Answers, Site
from tests.system.golden_traffic import MODELS, Traffic, traffic
from tests.system.program import Program
from tests.system.stack import Stack

pytestmark = [pytest.mark.process, pytest.mark.timeout(480)]

MOMENT: Mapping[str, tuple[str, ...]] = {
    "devices": ("items.*.entries", "items.*.seen", "items.*.fields.*.received", "items.*.texts.*.received"),
    "latest": ("entries", "seen", "fields.*.received", "texts.*.received"),
    "device": ("entries", "seen"),
    "history": ("items.*.received", "items.*.offset"),
    "candidates": ("items.*.origin.offset", "items.*.message.received", "items.*.message.offset"),
    "search": ("items.*.origin.offset", "items.*.message.received", "items.*.message.offset"),
    "near": ("items.*.entries", "items.*.seen", "items.*.fields.*.received", "items.*.texts.*.received"),
    "reports": (),
    "rows": ("items.*.received",),
    "rejected": ("items.*.received",),
}
"""Kind of question → what depends on the moment of sending or on the log. `entries` has a test of its own."""
TOLERANCE = 1e-9


class Runs(NamedTuple):
    """What was sent, and both profiles' replies and answers."""

    sent: Traffic
    replies: dict[str, list[Any]]
    answers: dict[str, Answers]
    flows: dict[str, Any]


@pytest.fixture(scope="module")
def runs(
    tmp_path_factory: pytest.TempPathFactory,
    kafka_server: Server,
    redis_server: Server,
    mongo_server: Server,
    elastic_server: Server,
    mariadb_server: Server,
    minio_server: Server,
) -> Runs:
    end = int(time.time()) // 3600 * 3600
    made = Runs(traffic(end), {}, {}, {})
    settings = {"HEADWATER_LAKE__FLUSH_EVERY": "500ms", "HEADWATER_MODELS": json.dumps(MODELS)}
    program = Program(tmp_path_factory.mktemp("embedded") / "data", settings)
    servers = {
        "kafka": kafka_server,
        "redis": redis_server,
        "mongo": mongo_server,
        "elastic": elastic_server,
        "mariadb": mariadb_server,
        "minio": minio_server,
    }
    stack = Stack(tmp_path_factory.mktemp("stack"), servers, settings)
    try:
        program.start()
        parts = [stack.api(), stack.gateway(), stack.consumer(), stack.consumer()]  # start while the other is asked
        _run(made, "embedded", Site(program.url, program.url), end)
        assert program.stop() == 0
        for part in parts:
            part.wait_ready()
        _run(made, "stack", Site(f"http://127.0.0.1:{stack.http}", f"http://127.0.0.1:{stack.asking}"), end)
    finally:
        program.kill()
        stack.close()
    return made


def _run(runs: Runs, profile: str, site: Site, end: int) -> None:
    runs.replies[profile] = golden.send(site, runs.sent, end)
    golden.settled(site)
    runs.answers[profile] = golden.ask(site)
    runs.flows[profile] = golden.flow(site)


def test_both_tell_the_sender_the_same(runs: Runs) -> None:
    assert runs.replies["stack"] == runs.replies["embedded"]
    assert sum(reply.get("accepted", 0) for reply in runs.replies["stack"]) > 0.8 * len(runs.sent.messages)


@pytest.mark.parametrize("kind", MOMENT)
def test_both_answer_the_same(runs: Runs, kind: str) -> None:
    embedded, stack = runs.answers["embedded"], runs.answers["stack"]
    assert stack.keys() == embedded.keys()
    mine = [question for question in embedded if _kind(question) == kind]
    assert mine
    filled = 0
    for question in mine:
        one, other = (_comparable(kind, answers[question]) for answers in (embedded, stack))
        differences = list(_differences(one, other, question))
        assert not differences, "\n".join(differences[:20])
        filled += len(one.get("items", one))
    assert filled > 3


def test_both_show_the_same_flow(runs: Runs) -> None:
    """One process knows a repetition at the front door; of two, the second logs it again, and the workers know it."""
    embedded, stack = runs.flows["embedded"], runs.flows["stack"]
    assert _names(stack) == _names(embedded)
    for name in ("received", "rejected", "rejected_by_reason", "failed", "refused", "selected", "selected_by_rule"):
        assert stack[name] == embedded[name], name
    assert stack["accepted"] + stack["duplicate"] == embedded["accepted"] + embedded["duplicate"]
    again = embedded["duplicate"] - stack["duplicate"]
    assert 0 < again == stack["selector"]["duplicate"] - embedded["selector"]["duplicate"]
    for group, store in stack["stores"].items():
        assert (store["state"], store["reason"], store["quarantined"]) == ("running", "", 0)
        if not group.endswith(".messages"):
            assert store["written"] == embedded["stores"][group]["written"], group


def test_nearly_every_search_finds_something(runs: Runs) -> None:
    found = [bool(answer["items"]) for question, answer in runs.answers["stack"].items() if _kind(question) == "search"]
    assert sum(found) >= len(found) - 2


def test_each_counts_the_entries_of_its_own_log(runs: Runs) -> None:
    """A message sent again to another process is on the log again, and is one message in all other answers."""
    again = Counter(message["device"] for message in runs.sent.again)
    embedded, stack = (
        {one["device"]: one["entries"] for one in next(iter(answers.values()))["items"]}
        for answers in (runs.answers["embedded"], runs.answers["stack"])
    )
    rejected = {device for device in embedded if device.startswith("beacon1.")}  # some of what they sent again
    assert {device: count for device, count in stack.items() if device not in rejected} == {
        device: count + again[device] for device, count in embedded.items() if device not in rejected
    }


def test_near_is_by_the_great_circle(runs: Runs) -> None:
    """Measured again with another formula, over all devices' newest positions."""
    for answers in runs.answers.values():
        devices = next(answer for question, answer in answers.items() if _kind(question) == "devices")["items"]
        for name, (lat, lon, radius) in golden.PLACES.items():
            away = {
                one["device"]: _apart(lat, lon, one["position"]["lat"], one["position"]["lon"])
                for one in devices
                if one["position"] is not None
            }
            assert len(away) >= 5
            found = answers[golden.near(name)]["items"]
            assert [one["device"] for one in found] == [
                device for device, metres in sorted(away.items(), key=lambda pair: pair[1]) if metres <= radius
            ]
            for one in found:
                assert one["distance"] == pytest.approx(away[one["device"]], rel=1e-6, abs=0.05)


def _names(flow: Any) -> Any:
    """What stands where in a flow."""
    inner = {name: sorted(flow[name]) for name in ("selector", "stores", "rates")}
    return sorted(flow), inner, {group: sorted(one) for group, one in flow["stores"].items()}


def _kind(question: str) -> str:
    path = question.split("?", maxsplit=1)[0].split("/")
    match path:
        case ["reports", "rows"]:
            return "rows"
        case ["devices", _]:
            return "device"
        case ["devices", _, what]:
            return what
        case _:
            return path[0]


def _comparable(kind: str, answer: Any) -> Any:
    """The answer without what is named in `MOMENT`."""
    copy = json.loads(json.dumps(answer))
    for path in MOMENT[kind]:
        _drop(copy, path.split("."))
    if kind == "rejected":  # newest arrival first; ids of what could not be read are made by the front door
        items: list[dict[str, Any]] = copy["items"]
        for item in items:
            if item["device"] == "" or item["device"].startswith("foreign-"):
                del item["id"]
        items.sort(key=lambda item: (item["device"], item.get("id", ""), item["sha256"]))
    return copy


def _drop(tree: Any, path: list[str]) -> None:
    name, rest = path[0], path[1:]
    if name == "*":
        for value in tree.values() if isinstance(tree, dict) else tree:
            _drop(value, rest)
    elif rest:
        _drop(tree[name], rest)
    else:
        del tree[name]


def _differences(one: Any, other: Any, where: str) -> Iterator[str]:
    """Where the second is not what the first is; numbers may differ by 1e-9 of themselves."""
    if isinstance(one, dict) and isinstance(other, dict):
        left, right = cast("dict[str, Any]", one), cast("dict[str, Any]", other)
        if left.keys() != right.keys():
            yield f"{where}: keys {sorted(left.keys() ^ right.keys())} in one only"
        for name in left.keys() & right.keys():
            yield from _differences(left[name], right[name], f"{where} {name}")
    elif isinstance(one, list) and isinstance(other, list):
        mine, theirs = cast("list[Any]", one), cast("list[Any]", other)
        if len(mine) != len(theirs):
            yield f"{where}: {len(mine)} and {len(theirs)} items"
        for number, (left_item, right_item) in enumerate(zip(mine, theirs, strict=False)):
            yield from _differences(left_item, right_item, f"{where} [{number}]")
    elif isinstance(one, float) and isinstance(other, float):
        if not math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE):
            yield f"{where}: {one!r} and {other!r}"
    elif type(one) is not type(other) or one != other:
        yield f"{where}: {one!r} and {other!r}"


def _apart(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    """Great-circle distance in metres by the spherical law of cosines."""
    phi1, phi2, turn = radians(lat1), radians(lat2), radians(lon2 - lon1)
    cosine = sin(phi1) * sin(phi2) + cos(phi1) * cos(phi2) * cos(turn)
    return 6_371_008.8 * acos(max(-1.0, min(1.0, cosine)))
