"""What the documentation refers to is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_a_page_names_are_there(page: Path) -> None:
    text = page.read_text("utf-8")
    named = set(re.findall(r"`((?:tests|benchmarks|docs|scripts|deploy)/[\w./-]+\w)`", text))
    linked = {link.split("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link}
    missing = {name for name in named if not (ROOT / name).exists()}
    missing |= {link for link in linked if link and not (page.parent / link).exists()}
    assert missing == set()
