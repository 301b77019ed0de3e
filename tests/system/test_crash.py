"""Killed at every named place and at random moments: what was acknowledged is stored, once, in order, and chosen alike."""

import time
from pathlib import Path
from typing import Any

import pytest

from tests.system import crash, recorded
from tests.system.crash import YESTERDAY, Life
from tests.system.program import Program

COUNT = 50_000
FAILPOINTS = [
    "ingest.appended=kill@5",
    "log.transaction=kill@20",
    "selector.emitted=kill@3",
    "selector.checkpointed=kill@3",
    "writer.written=kill@10",
    "live.transaction=kill@10",
    "lake.files_written=kill@2",
    "lake.first_table=kill@2",
    "lake.committed=kill@2",
]
COMPACTION = ["lake.compacting=kill", "lake.compacted=kill"]

pytestmark = [pytest.mark.process, pytest.mark.timeout(1200)]


def disturbed() -> list[Life]:
    """Yesterday: every failpoint of the way in, and chance; today, when yesterday can be compacted: the rest."""
    return [
        *crash.at_failpoints(FAILPOINTS, YESTERDAY),
        *crash.at_random(5, 1, YESTERDAY),
        Life(days_back=YESTERDAY),
        *crash.at_failpoints(COMPACTION, 0),
        *crash.at_random(5, 2, 0),
        Life(),
    ]


def undisturbed(lives: list[Life]) -> list[Life]:
    """The same messages on the same days, each day one life."""
    yesterday = sum(life.days_back for life in lives)
    return [Life(days_back=YESTERDAY, share=yesterday), Life(share=len(lives) - yesterday)]


@pytest.fixture(scope="module")
def sent() -> dict[str, list[dict[str, Any]]]:
    source, messages = recorded.messages(COUNT, time.time() - 86_400 - 600)
    print(f"{COUNT} messages from {source}")
    return messages


def check_all_stored(program: Program, sent: dict[str, list[dict[str, Any]]]) -> None:
    for device, messages in sent.items():
        stored = list(crash.pages(program, f"/api/v1/devices/{device}/history"))
        ids = [item["id"] for item in stored]
        assert len(ids) == len(set(ids)), f"{device}: an id is there twice"
        assert set(ids) == {message["id"] for message in messages}, device
        by_arrival = sorted(stored, key=lambda item: item["offset"])
        assert [item["seq"] for item in by_arrival] == [message["seq"] for message in messages], f"{device}: order"
        latest = program.get(f"/api/v1/devices/{device}/latest")["fields"]
        for name, value in messages[-1]["fields"].items():
            assert latest[name]["value"] == pytest.approx(value), (device, name)


def test_every_acknowledged_message_is_stored_once_whenever_the_program_is_killed(
    tmp_path: Path, sent: dict[str, list[dict[str, Any]]]
):
    devices = list(sent)

    lives = disturbed()
    program = crash.run(tmp_path / "disturbed", sent, lives)
    try:
        check_all_stored(program, sent)
        chosen = crash.candidates(program, devices)
        assert "nothing missing, nothing extra" in program.run("audit")
        assert program.stop() == 0
    finally:
        program.kill()

    program = crash.run(tmp_path / "undisturbed", sent, undisturbed(lives))
    try:
        check_all_stored(program, sent)
        expected = crash.candidates(program, devices)
        assert program.stop() == 0
    finally:
        program.kill()
    assert len(expected) > 1000
    assert {key: chosen.get(key) for key in expected.keys() ^ chosen.keys()} == {}
    assert chosen == expected
