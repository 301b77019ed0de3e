"""docs/devices.md is what the decoders say of themselves, and its table what the samples show."""

from pathlib import Path

import pytest

from ingest.decoders.families import FAMILIES
from ingest.decoders.family import Family
from tests.decoders.document import document, sections
from tests.decoders.samples import FOLDER

PAGE = Path(__file__).parents[2] / "docs" / "devices.md"
NOT_SHOWN = "not shown: the table of docs/devices.md (no samples beside the project)"
WRITE = "python -m tests.decoders.document > docs/devices.md"


def test_every_family_stands_in_the_page_as_its_docstring_says() -> None:
    assert PAGE.read_text("utf-8").endswith(sections()), WRITE


@pytest.mark.skipif(not FOLDER.is_dir(), reason=NOT_SHOWN)
def test_the_table_is_what_the_samples_show() -> None:
    assert PAGE.read_text("utf-8") == document(), WRITE


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_family_has_a_title_and_says_what_it_is(family: Family) -> None:
    assert family.title
