"""The command line from outside: what a person types, what comes back, and that each error is a line that says what to do.

In: a running program and its commands as processes. Out: exit codes and texts.
"""

import gzip
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.system.program import HEADWATER, Program, free_port


def command(program: Program | None, *arguments: str, given: bytes = b"") -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    environment = dict(os.environ)
    if program is not None:
        environment["HEADWATER_URL"] = program.url
    done = subprocess.run(
        [str(HEADWATER), *arguments], input=given, capture_output=True, timeout=60, env=environment, check=False
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def history(program: Program, device: str) -> list[dict[str, Any]]:
    return program.get(f"/api/v1/devices/{device}/history?limit=1000")["items"]


def test_what_is_sent_from_the_command_line_is_there_with_the_types_it_was_typed_in(program: Program) -> None:
    code, said, _ = command(program, "send", "cli-1", "temperature=21.5", "on=true", "state=open", "code=007x")
    assert (code, said) == (0, "1 accepted, 0 rejected\n")
    message = history(program, "cli-1")[0]
    assert message["fields"] == {"temperature": 21.5, "on": True}
    assert message["texts"] == {"state": "open", "code": "007x"}


def test_send_says_why_a_message_was_rejected_and_fails(program: Program) -> None:
    code, said, why = command(program, "send", "cli/2", "x=1")
    assert (code, said) == (1, "0 accepted, 1 rejected\n")
    assert why.startswith("message 1: bad_device: 'cli/2' is not a device name")
    assert len(why.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ((), "headwater send pump-7 temperature=21.5"),
        (("cli-3", "x"), "'x' is not NAME=VALUE"),
        (("cli-3", "x=NaN"), "'x=NaN': no message can carry this number"),
        (("--file", "-", "cli-3"), "with --file, the lines say the device"),
        (("--file", "/nowhere"), "does not exist"),
    ],
)
def test_a_command_that_makes_no_sense_is_explained_and_sends_nothing(
    program: Program, arguments: tuple[str, ...], hint: str
) -> None:
    code, said, why = command(program, "send", *arguments)
    assert (code, said) == (2, "")
    assert hint in why.splitlines()[-1]


def test_lines_of_a_file_and_of_standard_input_are_sent_and_bad_ones_named_by_line(
    program: Program, tmp_path: Path
) -> None:
    lines = [json.dumps({"device": "cli-4", "fields": {"n": n}}) for n in range(1200)]
    file = tmp_path / "readings.ndjson"
    file.write_text("\n".join([*lines[:700], "not json", *lines[700:]]))
    code, said, why = command(program, "send", "--file", str(file))
    assert (code, said) == (1, "1200 accepted, 1 rejected\n")
    assert "message 701: bad_json" in why
    code, said, _ = command(program, "send", "--file", "-", given=b'{"device":"cli-5","fields":{"n":1}}\n')
    assert (code, said) == (0, "1 accepted, 0 rejected\n")
    assert len(history(program, "cli-4")) == 1000
    assert len(history(program, "cli-5")) == 1


def test_what_is_not_text_is_judged_by_the_front_door_and_the_rest_is_sent(program: Program) -> None:
    given = b'{"device":"cli-6","fields":{"n":1}}\n\xd0\xff\x00\n{"device":"cli-6","texts":"\xff"}\n'
    code, said, why = command(program, "send", "--file", "-", given=given)
    assert (code, said) == (1, "1 accepted, 2 rejected\n")
    assert "Traceback" not in why
    assert "message 2: " in why
    assert "message 3: bad_encoding" in why


def test_a_recording_is_replayed_with_clocks_that_end_now(program: Program, tmp_path: Path) -> None:
    file = tmp_path / "meter.ndjson.gz"
    body = [{"t": 1000.0 + n, "http": "/ingest", "payload": {"device": "cli-7", "fields": {"n": n}}} for n in range(50)]
    file.write_bytes(gzip.compress("\n".join(map(json.dumps, body)).encode()))
    code, _, why = command(program, "replay", "--history", str(file))
    assert code == 0, why
    assert "50 messages sent and acknowledged" in why
    rows = history(program, "cli-7")
    assert [row["fields"]["n"] for row in rows] == list(range(49, -1, -1))
    assert {row["flag"] for row in rows} == {""}


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ((), "name recordings, or use --demo"),
        (("--mqtt", "nonsense"), "'nonsense' is not HOST:PORT"),
        (("--mqtt", "localhost:99999"), "'localhost:99999' is not HOST:PORT"),
    ],
)
def test_replay_says_what_it_needs(program: Program, tmp_path: Path, arguments: tuple[str, ...], hint: str) -> None:
    recording = tmp_path / "one.ndjson"
    recording.write_text('{"t":1,"mqtt":"devices/a/telemetry","client":"a","payload":{"fields":{"n":1}}}\n')
    code, _, why = command(program, "replay", *arguments, *([str(recording)] if arguments else []))
    assert code != 0
    assert hint in why.splitlines()[-1]
    assert "Traceback" not in why


def test_tail_shows_what_arrives_while_it_looks(program: Program) -> None:
    environment = {**os.environ, "HEADWATER_URL": program.url}
    with subprocess.Popen(
        [str(HEADWATER), "tail", "--device", "cli-8", "--count", "1"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment,
    ) as tail:  # fmt: skip
        for n in range(200):  # until it listens
            program.run("send", "cli-8", f"n={n}", "state=open")
            if tail.poll() is not None:
                break
        assert tail.stdout is not None
        line = tail.stdout.read().decode()
        assert tail.wait(10) == 0
    assert "  cli-8  n=" in line
    assert "state=open" in line


def test_a_token_is_the_only_thing_on_standard_output_and_works_until_it_is_rotated(program: Program) -> None:
    code, first, told = command(program, "devices", "add", "cli-9")
    assert code == 0
    assert len(first.split()) == 1
    assert "shown only now" in told
    assert command(program, "send", "cli-9", "n=1", "--token", first.strip())[0] == 0
    second = command(program, "devices", "rotate", "cli-9")[1].strip()
    code, _, why = command(program, "send", "cli-9", "n=2", "--token", first.strip())
    assert code == 1
    assert "HEADWATER_TOKEN" in why
    assert command(program, "send", "cli-9", "n=3", "--token", second)[0] == 0
    code, _, why = command(program, "send", "cli-1", "n=4", "--token", second)
    assert code == 1
    assert "not_authorized" in why or "may not" in why


def test_keys_are_listed_without_their_secret_and_end_when_removed(program: Program) -> None:
    key = command(program, "keys", "add", "dashboard", "--role", "read")[1].strip()
    listed = command(program, "keys", "list")[1]
    assert "dashboard" in listed
    assert key not in listed
    code, _, why = command(program, "keys", "add", "dashboard")
    assert code == 1
    assert why == "Error: there is a 'dashboard' already\n"
    assert command(program, "devices", "list", "--token", key)[0] == 1  # it may read answers, not the registry
    assert command(program, "keys", "remove", "dashboard")[0] == 0
    code, _, why = command(program, "tail", "--count", "1", "--token", key)
    assert code == 1
    assert "HEADWATER_TOKEN" in why


def test_a_command_without_a_running_program_says_so_in_a_line() -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    for arguments in (("send", "a", "n=1"), ("tail",), ("devices", "list"), ("keys", "list")):
        code, said, why = command(None, *arguments, "--url", nowhere)
        assert (code, said) == (1, "")
        assert why == f"Error: nothing answers at {nowhere}; is `headwater up` running?\n"


def test_check_names_every_mistake_at_once(tmp_path: Path) -> None:
    file = tmp_path / "mistakes.yaml"
    file.write_text("http: {lisen: x, idle: 3 parsecs}\nmodels: {pump: {devices: pump-7}}\n")
    code, _, why = command(None, "check", "--config", str(file))
    assert code == 1
    assert why.splitlines()[0].startswith("Error: 3 mistakes in the configuration (")
    assert "  http.lisen: there is no such key" in why
    assert "  models.pump.devices: a list belongs here, like [a, b]" in why
    assert "  http.idle: '3 parsecs' is not like \"10s\"" in why


def test_check_knows_that_the_addresses_are_taken(program: Program) -> None:
    program_settings = {
        "HEADWATER_HTTP__LISTEN": f"127.0.0.1:{program.http}", "HEADWATER_MQTT__LISTEN": f"127.0.0.1:{program.mqtt}",
    }  # fmt: skip
    done = subprocess.run(
        [str(HEADWATER), "check", "--data", str(program.data)],
        capture_output=True, text=True, timeout=60, env={**os.environ, **program_settings}, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert f"FAILED  HTTP address 127.0.0.1:{program.http}: Address already in use; is Headwater running" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("--http", "127.0.0.1:70000"), "  http.listen: '127.0.0.1:70000' is not HOST:PORT"),
        (("--data", "{file}/data"), "Error: cannot make the folder {file}: File exists"),
        (("--http", "{taken}"), "Error: http.listen: cannot listen on {taken}: Address already in use"),
        (("--mqtt", "{taken}"), "Error: mqtt.listen: cannot listen on {taken}: Address already in use"),
    ],
)
def test_up_says_in_its_last_line_why_it_cannot_start_and_leaves_nothing_running(
    program: Program, tmp_path: Path, arguments: tuple[str, ...], hint: str
) -> None:
    file = tmp_path / "file"
    file.touch()
    names = {"file": str(file), "taken": f"127.0.0.1:{program.http}"}
    options = {"--data": str(tmp_path / "data"), "--http": "127.0.0.1:0", "--mqtt": "127.0.0.1:0"}
    options[arguments[0]] = arguments[1].format(**names)
    code, said, why = command(None, "up", *(part for option in options.items() for part in option))
    assert (code, said) == (1, "")
    assert why.splitlines()[-1] == hint.format(**names)
    assert "Traceback" not in why
    assert "leaked" not in why


def test_the_parts_of_the_stack_say_what_they_need() -> None:
    for part in ("gateway", "consumer", "api"):
        code, _, why = command(None, part)
        assert code == 1
        assert "need Kafka" in why
        assert "use `headwater up`" in why


def test_the_audit_is_clean_beside_the_running_program(program: Program) -> None:
    code, said, why = command(program, "audit", "--data", str(program.data))
    assert code == 0, said + why
    assert said.splitlines()[-1] == "nothing missing, nothing extra"
