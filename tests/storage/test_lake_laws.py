"""The lake keeps the laws of every store."""

from pathlib import Path

from tests.storage.lake_kit import LakePlace
from tests.storage.laws import StoreLaws


class TestLake(StoreLaws):
    def place(self, folder: Path) -> LakePlace:
        return LakePlace(folder)
