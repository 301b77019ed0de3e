"""What parts say goes to one place, whole, and to standard error as long as nobody has said where."""

import pytest

from headwater.saying import capture_logs, get_logger, plainly, to


def test_a_command_says_it_in_one_line_on_standard_error_and_nothing_on_standard_output(
    capsys: pytest.CaptureFixture[str],
):
    before = to(plainly)
    try:
        get_logger().warning("one copy of each entry", brokers=("127.0.0.1:9092",), event_is="no keyword")
        get_logger().debug("too little to say")
    finally:
        to(before)
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "warning: one copy of each entry brokers=('127.0.0.1:9092',) event_is='no keyword'\n"


def test_an_exception_is_told_with_its_traceback(capsys: pytest.CaptureFixture[str]):
    before = to(plainly)
    try:
        int("why")
    except ValueError:
        get_logger().exception("the one being handled")
    get_logger().error("one that is given", exc_info=ValueError("invalid literal, too"))
    get_logger().error("none", exc_info=None)
    to(before)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "error: the one being handled"
    assert sum("ValueError: invalid literal" in line for line in lines) == 2
    assert lines[-1] == "error: none"


def test_levels_and_keys_arrive_as_they_were_said():
    with capture_logs() as said:
        log = get_logger()
        for say in (log.debug, log.info, log.warning, log.error, log.critical):
            say("it", device="pump")
    assert [event["level"] for event in said] == ["debug", "info", "warning", "error", "critical"]
    assert all(event["event"] == "it" and event["device"] == "pump" for event in said)
