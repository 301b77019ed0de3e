"""What is said is kept for the lake too, bounded, and without secrets."""

import json
import logging
import threading
from collections.abc import Generator
from typing import Any

import pytest

from headwater import log_lines, logs, saying
from headwater.config import Logging
from headwater.log_lines import LogLines


@pytest.fixture
def put_back() -> Generator[None]:
    """Logging is set up once a process: what it was comes back."""
    root = logging.getLogger()
    before, said_to = list(root.handlers), saying.to(saying.plainly)
    yield
    saying.to(said_to)
    root.handlers[:] = before
    for name in ("aiokafka", "elastic_transport"):
        logging.getLogger(name).setLevel(logging.NOTSET)


def said(lines: LogLines) -> list[dict[str, Any]]:
    taken = lines.take(2**20)
    return [json.loads(line) for line in taken.lines] if taken else []


@pytest.mark.usefixtures("put_back")
@pytest.mark.parametrize("form", ["json", "text"])
def test_an_event_is_on_standard_error_and_kept_as_json(form: str, capsys: pytest.CaptureFixture[str]):
    lines = logs.configure(Logging.model_validate({"format": form}))
    try:
        int("why")
    except ValueError:
        saying.get_logger().exception("it failed", device="pump")
    saying.get_logger().debug("too little to say")
    assert "it failed" in capsys.readouterr().err
    (event,) = said(lines)
    assert event.items() >= {"event": "it failed", "level": "error", "device": "pump"}.items()
    assert "ValueError: invalid literal" in event["exception"]
    assert event["timestamp"].endswith("Z")


@pytest.mark.usefixtures("put_back")
def test_what_libraries_say_is_kept_from_warning_up():
    lines = logs.configure(Logging())
    library = logging.getLogger("some.library")
    library.info("nothing of interest")
    library.warning("%d of %s", 3, "four")
    (event,) = said(lines)
    assert event.items() >= {"event": "3 of four", "level": "warning", "logger": "some.library"}.items()


@pytest.mark.usefixtures("put_back")
@pytest.mark.parametrize("name", ["aiokafka", "elastic_transport"])
def test_each_try_to_reach_a_server_is_no_line_but_where_it_is_asked_for(name: str):
    library = logging.getLogger(f"{name}.part")
    lines = logs.configure(Logging())
    library.error("Failed fetch messages from 1")
    assert said(lines) == []
    logging.getLogger(name).setLevel(logging.NOTSET)
    lines = logs.configure(Logging(level="debug"))
    library.error("Failed fetch messages from 1")
    assert [event["event"] for event in said(lines)] == ["Failed fetch messages from 1"]


@pytest.mark.usefixtures("put_back")
def test_secrets_are_neither_shown_nor_kept(capsys: pytest.CaptureFixture[str]):
    lines = logs.configure(Logging(format="json"))
    saying.get_logger().warning(
        "no answer from redis://user:hunter2@host:6379/0", token="hunter3", error="at amqp://:hunter4@host"
    )
    kept = json.dumps(said(lines))
    for text in (capsys.readouterr().err, kept):
        assert "no answer from redis://***@host:6379/0" in text
        assert "hunter" not in text


@pytest.mark.usefixtures("put_back")
def test_nothing_is_kept_where_the_configuration_says_so():
    lines = logs.configure(Logging(keep=False))
    saying.get_logger().warning("one")
    logging.getLogger("some.library").warning("two")
    assert lines.take(100) is None
    assert lines.dropped == 0


def test_beyond_the_bound_new_lines_are_dropped_and_counted_until_there_is_room():
    lines = LogLines(25)
    for number in range(5):
        lines.add(b"%09d\n" % number)
    assert (lines.size, lines.dropped) == (20, 3)
    taken = lines.take(100)
    assert taken is not None
    assert [int(line) for line in taken.lines] == [0, 1], "what began the trouble stays"
    lines.add(b"later\n")
    assert (lines.size, lines.dropped) == (6, 3)


def test_a_batch_is_of_one_day_and_bounded_but_never_empty(monkeypatch: pytest.MonkeyPatch):
    lines = LogLines(1000)
    for moment in (86_399_999_999, 86_400_000_000, 86_400_000_001):
        monkeypatch.setattr(log_lines, "now", lambda moment=moment: moment)
        lines.add(b"x" * 50)
    assert lines.take(1) == ("1970-01-01", [b"x" * 50])
    assert lines.take(99) == ("1970-01-02", [b"x" * 50])
    assert lines.take(99) == ("1970-01-02", [b"x" * 50])
    assert lines.take(99) is None


def test_threads_that_say_things_at_once_lose_none():
    lines = LogLines(2**20)
    threads = [threading.Thread(target=lambda: [lines.add(b"x\n") for _ in range(2000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    taken: list[bytes] = []
    while any(thread.is_alive() for thread in threads) or lines.size:
        batch = lines.take(100)
        taken += batch.lines if batch else []
    for thread in threads:
        thread.join()
    assert len(taken) == 8000
    assert lines.dropped == 0


def test_what_a_finaliser_says_while_a_line_is_added_is_added_too():
    lines = LogLines(1000)

    class Line(bytes):
        said = False

        def __len__(self) -> int:
            if not self.said:
                self.said = True
                lines.add(b"from within\n")
            return super().__len__()

    thread = threading.Thread(target=lambda: lines.add(Line(b"outer\n")), daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive(), "it waits for itself"
    taken = lines.take(1000)
    assert taken is not None
    assert sorted(taken.lines) == [b"from within\n", b"outer\n"]
