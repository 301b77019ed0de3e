"""The local copies: fetched once, kept within a bound, and never taken from under whoever holds them."""

import threading
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from storage.file_cache import FileCache

Open = Callable[..., FileCache]


@pytest.fixture
def fetched() -> list[str]:
    return []


@pytest.fixture
def opened(tmp_path: Path, fetched: list[str]) -> Generator[Open]:
    """Opens the cache as one more process would."""
    caches: list[FileCache] = []

    def fetch(name: str, target: Path) -> None:
        fetched.append(name)
        if name.startswith("gone/"):
            raise FileNotFoundError(name)
        target.write_bytes(name.encode() * 100)

    def open_(most: int = 10**9) -> FileCache:
        scratch = tmp_path / f"scratch-{len(caches)}"
        scratch.mkdir()
        caches.append(FileCache(tmp_path / "copies", scratch, most, fetch))
        return caches[-1]

    yield open_
    for cache in caches:
        cache.close()


def copies(folder: Path) -> set[str]:
    return {path.name for path in (folder / "copies").glob("*/*/*.parquet")}


def names(count: int) -> list[str]:
    return [f"messages/day=2025-11-21/{n:03d}.parquet" for n in range(count)]


def test_a_file_is_fetched_once_and_is_there_for_all_processes(opened: Open, fetched: list[str]) -> None:
    for cache in (opened(), opened()):
        for _ in range(2):
            with cache.held(names(20)) as paths:
                assert [Path(path).read_bytes() for path in paths] == [name.encode() * 100 for name in names(20)]
    assert sorted(fetched) == names(20)


def test_the_longest_unused_go_when_there_are_too_many(opened: Open, fetched: list[str], tmp_path: Path) -> None:
    cache = opened(most=40_000)
    for name in names(9):
        with cache.held([name]):
            pass
    with cache.held([names(1)[0]]):
        pass
    for name in names(30)[9:15]:
        with cache.held([name]):
            pass
    left = copies(tmp_path)
    assert len(left) <= 11, "about 3,700 bytes each"
    assert {"000.parquet", "014.parquet"} <= left, "what was used last"
    assert "001.parquet" not in left


def test_what_is_held_stays_readable_whatever_others_remove(opened: Open, tmp_path: Path) -> None:
    cache, other = opened(), opened(most=1)
    with cache.held(names(3)) as paths, cache.held(names(2)) as again:
        with other.held([*names(3), "messages/day=2025-11-22/new.parquet"]):
            pass
        assert copies(tmp_path) == set(), "the other one has no room"
        assert paths[:2] == again
        for path, name in zip(paths, names(3), strict=True):
            assert Path(path).read_bytes() == name.encode() * 100
    assert not any(Path(path).exists() for path in paths), "and then its space is free"


def test_what_is_not_there_any_more_says_so_and_holds_nothing(opened: Open, tmp_path: Path) -> None:
    cache = opened()
    with pytest.raises(FileNotFoundError), cache.held([*names(2), "gone/day=2025-11-21/x.parquet"]):
        pass
    assert not list((tmp_path / "scratch-0").glob("**/*.parquet"))
    with cache.held(names(2)) as paths:
        assert len(paths) == 2


def test_many_that_want_and_remove_the_same_files_at_once_read_whole_ones(opened: Open) -> None:
    caches = [opened(most=20_000) for _ in range(3)]
    wrong: list[str] = []

    def use(cache: FileCache, turn: int) -> None:
        for n in range(40):
            wanted = [name for at, name in enumerate(names(12)) if (at + n + turn) % 3]
            with cache.held(wanted) as paths:
                wrong.extend(path for path, name in zip(paths, wanted, strict=True) if not _is(path, name))

    threads = [threading.Thread(target=use, args=(cache, turn)) for turn, cache in enumerate(caches * 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    assert wrong == []


def _is(path: str, name: str) -> bool:
    return Path(path).read_bytes() == name.encode() * 100
