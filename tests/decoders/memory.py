"""A context for tests: forgets nothing, writes down what is asked. Several may have learned the same, as gateways do."""

from collections.abc import Sequence

from ingest.contract import Codec
from ingest.decoders.learned import Learned


class Memory:
    """See `ingest.contract.Context`. `learned`: what another gateway knows too."""

    def __init__(self, learned: Learned | None = None, *, alone: bool = True) -> None:
        self.known: dict[str, object] = {}
        self.learned = learned or Learned(1000)
        self.asked: list[tuple[str, bytes]] = []
        self.alone = alone

    def recall(self, key: str) -> object:
        found = self.known.get(key)
        return self.learned.recall(key) if found is None else found

    def remember(self, key: str, value: object) -> None:
        self.known[key] = value

    def learn(self, device: str, key: str, value: object, at: int) -> None:
        assert self.learned.learn(device, key, value, at)

    def below(self, key: str) -> Sequence[str]:
        return self.learned.below(key)

    def ask(self, topic: str, payload: bytes) -> None:
        self.asked.append((topic, payload))

    def codec(self, *names: str) -> Codec | None:
        del names
