"""With CI set, a test that ran out of time runs once more, and both are told (docs/decisions/022).

In: the collected tests. Out: the first failure of each that passed then, in full, before pytest's summary; more than
`CHANCE` of them are no chance, and fail the run.
"""

import inspect
import os

import pytest

from tests.services.plugin import FIXTURES

CHANCE = 3
_OUT_OF_TIME = [
    r"^TimeoutError",
    r"^Unavailable",
    r"^Failed: Timeout",
    r"^httpx\.\w*Timeout",
    r"^subprocess\.TimeoutExpired",
]
"""What such a failure says. Never an assertion: data that is missing or doubled once is a fault."""
_PAUSE = 5  # seconds: what the first attempt left behind may still be ending


def _waits(item: pytest.Item) -> bool:
    """For a process, a server, a browser or a socket, which a busy machine may keep it waiting for."""
    return (
        any(item.get_closest_marker(name) for name in ("process", "browser"))
        or not FIXTURES.keys().isdisjoint(getattr(item, "fixturenames", ()))
        or inspect.iscoroutinefunction(getattr(item, "function", None))
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ.get("CI"):
        for item in filter(_waits, items):
            item.add_marker(pytest.mark.flaky(reruns=1, reruns_delay=_PAUSE, only_rerun=_OUT_OF_TIME))


def _again(config: pytest.Config) -> list[pytest.TestReport]:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return reporter.stats.get("rerun", []) if isinstance(reporter, pytest.TerminalReporter) else []


def pytest_sessionfinish(session: pytest.Session) -> None:
    if len(_again(session.config)) > CHANCE:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if reports := _again(config):
        terminalreporter.section("UNSTEADY: ran out of time, and ran once more")
        for report in reports:
            terminalreporter.section(report.nodeid, "-")
            terminalreporter.line(report.longreprtext)
        if len(reports) > CHANCE:
            terminalreporter.line(f"{len(reports)} of them are more than chance: the run fails.", red=True)
