"""Wills on their way. Nobody waits for one and nobody sends it again, so it is kept here until the log has it.

In: wills that are being published, with their receipts. Out: those that are durable, and those to be published once
more, because the log did not take them. Of a session the newest counts; bounded by bytes, the oldest make way.
"""

from itertools import islice
from typing import Generic, NamedTuple, TypeVar

from headwater.registry import Identity
from headwater.saying import get_logger
from ingest.contract import Receipt
from ingest.mqtt.packets import Will

_EACH = 500
"""What a will costs beside its payload, about."""
_AT_ONCE = 500

R = TypeVar("R", bound=Receipt)
log = get_logger()


class Said(NamedTuple):
    """A will, whose it is, where it came from, and the session that it came with."""

    will: Will
    identity: Identity
    peer: str
    sender: str

    @property
    def size(self) -> int:
        return len(self.will.payload) + _EACH


class Wills(Generic[R]):
    """`most`: bytes of wills that the log has not taken."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._under_way: list[tuple[R, Said]] = []
        self._unsent: dict[str, Said] = {}
        self._size = 0

    def begin(self, receipt: R, said: Said) -> None:
        """It is being published."""
        self._under_way.append((receipt, said))

    def durable(self) -> list[tuple[R, Said]]:
        """Those that have come to the log since this was asked; what it did not take is kept."""
        settled = [item for item in self._under_way if not item[0].waiting]
        self._under_way = [item for item in self._under_way if item[0].waiting]
        for receipt, said in settled:
            if receipt.failed:
                self._keep(said)
        return [item for item in settled if not item[0].failed]

    def unsent(self) -> list[Said]:
        """Those to be published once more, so many that it takes no time; they are the caller's now."""
        some = [self._unsent.pop(sender) for sender in list(islice(self._unsent, _AT_ONCE))]
        self._size -= sum(said.size for said in some)
        return some

    def _keep(self, said: Said) -> None:
        before = self._unsent.pop(said.sender, None)
        self._size += said.size - (before.size if before is not None else 0)
        self._unsent[said.sender] = said
        while self._size > self._most:
            oldest = self._unsent.pop(next(iter(self._unsent)))
            self._size -= oldest.size
            log.error("a will is lost: the log has not taken it, and there is no room for more", client=oldest.sender)
