"""How a test run ends: with pytest's summary, and its exit code."""

import os
import sys

import pytest

pytest_plugins = ["tests.services.plugin", "tests.unsteady"]
_exit_code: list[int] = []


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    _exit_code.append(int(session.exitstatus))


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """Leave without the interpreter's last rites: in them DuckDB reports leaks, and deltalake was seen to abort."""
    if _exit_code:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_exit_code[-1])
