"""What is made when first asked for something, with the library that it takes.

In: how to make it. Out: what stands for it. Making it must not wait for anybody: it is done by whoever asks first.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")


def when_asked(make: Callable[[], T]) -> T:
    """Stands for what `make` returns."""
    return cast("T", _Unmade(make))


class _Unmade(Generic[T]):
    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make

    @cached_property
    def _made(self) -> T:
        return self._make()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._made, name)
