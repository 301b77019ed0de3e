"""Places where log files go: a folder, or a bucket on a real server behind a proxy. And one that can be made to fail."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from storage.lake_files import LocalFiles
from storage.listed import Listed
from storage.log_files import LogFiles, read_lines
from storage.s3_objects import S3Objects
from tests.services.server import Server
from tests.storage.s3_kit import s3_of


def local(folder: Path) -> LocalFiles:
    (folder / "lake").mkdir(exist_ok=True)
    return LocalFiles(folder / "lake")


def bucket(server: Server) -> S3Objects:
    return S3Objects(s3_of(server))


def paths(files: LogFiles, folder: str) -> list[str]:
    """All files below the folder, by their days and names."""
    return sorted(one.path for day in files.folders(folder) for one in files.list(day))


def contents(files: LogFiles, folder: str) -> list[dict[str, Any]]:
    """All lines below the folder."""
    return [json.loads(line) for path in paths(files, folder) for line in read_lines(files, path)]


class Failing:
    """Files that fail as often as told: before a put, or after it."""

    def __init__(self, files: LogFiles) -> None:
        self._files = files
        self.before = 0
        self.after = 0

    def put_new(self, path: str, data: bytes) -> None:
        if self.before:
            self.before -= 1
            raise OSError("away")
        self._files.put_new(path, data)
        if self.after:
            self.after -= 1
            raise OSError("the answer was lost")

    def read(self, path: str) -> bytes:
        return self._files.read(path)

    def list(self, folder: str) -> Sequence[Listed]:
        return self._files.list(folder)

    def folders(self, folder: str) -> Sequence[str]:
        return self._files.folders(folder)

    def drop(self, folder: str) -> None:
        self._files.drop(folder)
