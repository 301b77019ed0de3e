"""What of a batch of candidates is to be written: the same for every backend of the documents.

In: records, what the ledger covers, and the instant before which a candidate has expired. Out: one record a candidate,
its highest revision; the positions to note; and what can never be stored, with the reason.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

from headwater.log import CANDIDATES
from headwater.message import Candidate
from storage.contract import Record

T = TypeVar("T")
_NEVER = (ArithmeticError, UnicodeError, ValueError, TypeError)
"""What encoders raise for a value that they have no form for; libraries add their own."""


class Row(NamedTuple, Generic[T]):
    """A candidate to write. `at`: its index in the batch. `encoded`: what the backend stores."""

    at: int
    candidate: Candidate
    encoded: T


class Encoded(NamedTuple, Generic[T]):
    """`positions`: partition → highest position of the batch. `refused`: index in the batch → why never."""

    rows: list[Row[T]]
    positions: dict[int, int]
    refused: dict[int, str]


def encode_new(
    batch: Sequence[Record],
    applied: Mapping[int, int],
    cutoff: int,
    encode: Callable[[Candidate], T],
    never: tuple[type[Exception], ...] = (),
) -> Encoded[T]:
    """Encode what the ledger does not cover; what has expired is noted but not written.

    `never`: errors of `encode`, beside the usual ones, that say that this candidate can never be stored.
    """
    never += _NEVER
    best: dict[tuple[str, str], Row[T]] = {}
    positions: dict[int, int] = {}
    refused: dict[int, str] = {}
    for index, (topic, partition, _, position, candidate) in enumerate(batch):
        if topic != CANDIDATES or not isinstance(candidate, Candidate) or position <= applied.get(partition, -1):
            continue
        if position > positions.get(partition, -1):
            positions[partition] = position
        key = (candidate.device, candidate.id)
        known = best.get(key)
        if candidate.time < cutoff or (known is not None and known.candidate.revision >= candidate.revision):
            continue
        try:
            best[key] = Row(index, candidate, encode(candidate))
        except never as error:
            refused[index] = f"{type(error).__name__}: {error}"[:500]
    return Encoded(list(best.values()), positions, refused)
