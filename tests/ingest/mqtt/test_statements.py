"""docs/mqtt-statements.md: every number of the standards is there once, and every test that it names exists."""

import re
from collections import Counter
from functools import lru_cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/mqtt-statements.md").read_text("utf-8")

FIVE = """
1.5.4:3 1.5.5:1 1.5.7:1 2.1.3:1 2.2.1:2-6 2.2.2:1 3.1.0:2 3.1.2:30 3.1.3:12 3.1.4:6 3.2.0:2 3.2.2:22 3.3.1:13 3.3.2:20
3.3.4:10 3.4.2:3 3.5.2:3 3.6.1:1 3.6.2:3 3.7.2:3 3.8.1:1 3.8.3:5 3.8.4:8 3.9.2:2 3.9.3:2 3.10.1:1 3.10.3:2 3.10.4:6
3.11.2:2 3.11.3:2 3.12.4:1 3.14.0:1 3.14.1:1 3.14.2:4 3.14.4:3 3.15.1:1 3.15.2:3 4.1.0:2 4.2.0:1 4.3.1:1 4.3.2:5 4.3.3:13
4.4.0:2 4.5.0:2 4.6.0:6 4.7.0:1 4.7.1:2 4.7.2:1 4.7.3:4 4.8.2:6 4.9.0:3 4.12.0:7 4.12.1:2 4.13.1:1 4.13.2:1 6.0.0:4
"""
FOUR = """
1.5.3:3 2.2.2:2 2.3.1:7 3.1.0:2 3.1.2:24 3.1.3:11 3.1.4:5 3.2.0:1 3.2.2:6 3.3.1:12 3.3.2:3 3.3.4:1 3.3.5:2 3.6.1:1 3.8.1:1
3.8.3:4 3.8.4:6 3.9.3:2 3.10.1:1 3.10.3:2 3.10.4:6 3.12.4:1 3.14.1:1 3.14.4:3 4.1.0:2 4.3.1:1 4.3.2:2 4.3.3:2 4.4.0:1
4.5.0:2 4.6.0:6 4.7.1:3 4.7.2:1 4.7.3:4 4.8.0:2 6.0.0:4 7.0.0:2 7.1.1:1 7.1.2:1
"""
"""Section → how many statements it has, or the first and the last."""


def numbers(standard: str) -> set[str]:
    found: set[str] = set()
    for part in standard.split():
        section, _, span = part.partition(":")
        first, _, last = span.rpartition("-")
        found |= {f"{section}-{number}" for number in range(int(first or 1), int(last) + 1)}
    return found


def section(title: str) -> str:
    return PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]


def rows(title: str) -> list[tuple[list[str], str, list[str]]]:
    """Numbers, words, tests."""
    found: list[tuple[list[str], str, list[str]]] = []
    for line in section(title).splitlines():
        if re.match(r"\| \d", line):
            statements, words, tests = (cell.strip() for cell in line.strip("|").split(" | "))
            found.append((statements.split(", "), words, re.findall(r"`([^`]+)`", tests)))
    return found


@pytest.mark.parametrize(("version", "standard"), [("MQTT 5", FIVE), ("MQTT 3.1.1", FOUR)])
def test_every_statement_is_there_once(version: str, standard: str) -> None:
    listed = Counter(number for statements, _, _ in rows(f"{version}: a server") for number in statements)
    alone = section(f"{version}: clients alone").partition("\nOf these")[0].partition("\n7.0.0-1 is")[0]
    listed.update(re.findall(r"\d+\.\d+\.\d+-\d+", alone))
    assert [number for number, times in listed.items() if times > 1] == []
    assert set(listed) == numbers(standard)


@lru_cache
def _tests_in(name: str) -> frozenset[str]:
    folder, _, stem = name.rpartition("/")
    file = ROOT / "tests" / (folder or "ingest/mqtt") / f"test_{stem}.py"
    return frozenset(re.findall(r"^(?:async )?def test_(\w+)", file.read_text("utf-8"), re.MULTILINE))


@pytest.mark.parametrize("version", ["MQTT 5", "MQTT 3.1.1"])
def test_every_statement_is_shown_by_tests_that_exist(version: str) -> None:
    missing: list[str] = []
    for statements, _, tests in rows(f"{version}: a server"):
        assert tests, statements
        for named in tests:
            file, _, test = named.partition(": ")
            if test not in _tests_in(file):
                missing.append(named)
    assert missing == []
