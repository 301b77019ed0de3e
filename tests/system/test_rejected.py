"""What was rejected is sent on once, also where it is killed in the midst of that."""

import json
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests.system.program import Program

COUNT = 40


def history(program: Program) -> list[float]:
    try:
        items = program.get("/api/v1/devices/p1/history?limit=1000")["items"]
    except urllib.error.HTTPError:
        return []
    return sorted(item["fields"]["temperature"] for item in items)


def minutes(program: Program) -> int:
    answer = program.get("/api/v1/reports/minute?device=p1&field=temperature")
    return sum(item["count"] for item in answer["items"])


def reject(program: Program, n: int) -> None:
    """Nobody reads that topic yet, which is a 400."""
    reason = ""
    asked = urllib.request.Request(f"{program.url}/ingest?topic=plant/p1/state", b'{"t": %d}' % n, method="POST")
    try:
        urllib.request.urlopen(asked, timeout=20)
    except urllib.error.HTTPError as error:
        reason = json.load(error)["rejected"][0]["reason"]
    assert reason == "no_decoder"


def test_killed_between_the_log_and_its_mark_it_is_sent_again_as_the_same(tmp_path: Path) -> None:
    mapping = tmp_path / "plant.yaml"
    mapping.write_text("{topics: ['plant/{device}/state'], fields: {temperature: t}}")
    program = Program(tmp_path / "data")
    try:
        program.start("rejected.sent=kill")
        for n in range(COUNT):
            reject(program, n)
        assert program.get("/api/v1/rejected/groups")["groups"][0]["count"] == COUNT
        program.run("decoders", "add", str(mapping))
        program.run("rejected", "retry", ok=False)
        program.wait_exit(20)

        program.start()
        assert f"sent on {COUNT} records" in program.run("rejected", "retry")
        assert "sent on 0 records" in program.run("rejected", "retry")
        assert program.get("/api/v1/rejected/groups")["groups"] == []
        deadline = time.monotonic() + 20
        while minutes(program) < COUNT:
            assert time.monotonic() < deadline, minutes(program)
            time.sleep(0.1)
        assert history(program) == list(range(COUNT))
        assert minutes(program) == COUNT
    finally:
        program.kill()
