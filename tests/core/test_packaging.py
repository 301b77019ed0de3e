"""The distribution brings its packages, and no other distribution brings one of these names."""

from importlib import import_module
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest


@pytest.mark.parametrize("package", ["headwater", "ingest", "consumers", "storage", "query"])
def test_only_this_project_brings_the_package(package: str):
    assert set(packages_distributions().get(package, ())) <= {"headwater"}
    assert Path(import_module(package).__file__ or "").parents[1] == Path(__file__).parents[2]
