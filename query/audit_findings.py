"""What the audit found, in words. In: differences, one at a time. Out: a `Finding` a comparison."""

import msgspec

NAMED = 20
"""Differences of a comparison that are spelt out; all are counted."""


class Finding(msgspec.Struct):
    """One comparison: how many records are missing, extra or wrong, and the first of them in words (`named`).

    `repeated`: harmless doubles, which the store's view shows once. `trouble`: why it could not be made, or not whole.
    """

    what: str
    compared: int = 0
    missing: int = 0
    extra: int = 0
    wrong: int = 0
    repeated: int = 0
    trouble: str = ""
    named: list[str] = []

    @property
    def clean(self) -> bool:
        return not (self.missing or self.extra or self.wrong or self.trouble)

    @property
    def unnamed(self) -> int:
        """How many differences are only counted."""
        return self.missing + self.extra + self.wrong - len(self.named)

    def lacks(self, text: str) -> None:
        self.missing += 1
        self._name(f"missing: {text}")

    def exceeds(self, text: str) -> None:
        self.extra += 1
        self._name(f"extra: {text}")

    def differs(self, text: str) -> None:
        self.wrong += 1
        self._name(f"wrong: {text}")

    def _name(self, text: str) -> None:
        if len(self.named) < NAMED:
            self.named.append(text)
