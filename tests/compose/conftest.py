"""Says at the end of a run, loudly, that the stack was not shown on a container engine, and why."""

import pytest

NOT_SHOWN = pytest.StashKey[str]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    reason = config.stash.get(NOT_SHOWN, "")
    if reason:
        terminalreporter.section("NOT SHOWN IN THIS RUN")
        terminalreporter.line(reason)
