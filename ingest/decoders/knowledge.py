"""What decoders may know beside the payload: a memory, what all gateways have learned, makers' codecs; a way to ask.

In: what decoders remember and learn; codecs from the registry. Out: a `Context`. What is asked for goes to `asked`,
once in a while for the same topic, in a later turn of the event loop.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

from ingest.contract import Codec
from ingest.decoders.learned import Learned

_ASKED = 10_000


class Knowledge:
    """`most`: things remembered, and as many learned. `every`: seconds between two questions on one topic.

    `fixed`: never forgotten. `by_itself()`: whether this is the only gateway; set by whoever can tell.
    """

    def __init__(
        self,
        most: int = 100_000,
        every: float = 60.0,
        fixed: Mapping[str, object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.codecs: Mapping[str, Codec] = {}
        self.asked: Callable[[str, bytes], None] | None = None
        self.by_itself: Callable[[], bool] | None = None
        self.learned = Learned(most)
        self._most = most
        self._every = every
        self._fixed = dict(fixed or {})
        self._clock = clock
        self._memory: OrderedDict[str, object] = OrderedDict()
        self._last: OrderedDict[str, float] = OrderedDict()

    def recall(self, key: str) -> object:
        """See `Context`."""
        found = self._memory.get(key)
        if found is None:
            found = self.learned.recall(key)
            return self._fixed.get(key) if found is None else found
        self._memory.move_to_end(key)
        return found

    def remember(self, key: str, value: object) -> None:
        """See `Context`."""
        self._memory[key] = value
        self._memory.move_to_end(key)
        if len(self._memory) > self._most:
            self._memory.popitem(last=False)

    def learn(self, device: str, key: str, value: object, at: int) -> None:
        """See `Context`. What there is no room for is remembered by this process alone."""
        if self.learned.learn(device, key, value, at):
            self._memory.pop(key, None)
        else:
            self.remember(key, value)

    def below(self, key: str) -> Sequence[str]:
        """See `Context`."""
        return self.learned.below(key)

    @property
    def alone(self) -> bool:
        """See `Context`."""
        return self.by_itself is None or self.by_itself()

    def ask(self, topic: str, payload: bytes) -> None:
        """See `Context`. Without anyone who could pass it on, nothing happens."""
        now = self._clock()
        if self.asked is None or now - self._last.get(topic, float("-inf")) < self._every:
            return
        self._last[topic] = now
        self._last.move_to_end(topic)
        if len(self._last) > _ASKED:
            self._last.popitem(last=False)
        asyncio.get_running_loop().call_soon(self.asked, topic, payload)

    def codec(self, *names: str) -> Codec | None:
        """See `Context`. Names are compared without case."""
        for name in names:
            if name and (found := self.codecs.get(name.casefold())) is not None:
                return found
        return None
