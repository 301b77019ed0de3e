"""What disks and libraries complain of → `Unavailable`: later it may be different."""

from collections.abc import Generator
from contextlib import contextmanager

from deltalake.exceptions import DeltaError

from headwater.errors import Unavailable


@contextmanager
def as_unavailable() -> Generator[None]:
    """What a disk, and a library about one, complains of: later it may be different."""
    try:
        yield
    except (OSError, DeltaError) as error:
        raise Unavailable(f"the lake: {first_line(error)}") from error


def first_line(error: BaseException) -> str:
    """What it says, without the library's stack."""
    return (str(error).splitlines() or [type(error).__name__])[0]
