"""What births taught of Sparkplug nodes: names behind aliases, and types; all gateways know them, also after a restart.

In: births; what any gateway has learned of them. Out: a `Node` for each payload. The count of messages (`seq`) is this
gateway's own: it notices losses only where one gateway reads all that a node says.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from headwater.ids import hashed
from ingest.contract import Context
from ingest.decoders.platforms.sparkplug_metrics import Metric

_KNOWN_DEVICES = 1024


class Node:
    """Aliases and types are by device, "" the node's own. `born`: the session (bdSeq) of its birth."""

    __slots__ = ("aliases", "born", "names", "seq", "taken", "types")

    def __init__(self) -> None:
        self.aliases: dict[str, dict[int, str]] = {}
        self.types: dict[str, dict[str, int]] = {}
        self.born: int | None = None
        self.seq: int | None = None
        self.names = ""
        self.taken: dict[str, object] = {}

    def name(self, part: str, alias: int | None) -> str:
        """The metric's name, "" if no birth gave it: aliases are the device's own, or the node's for all of them."""
        if alias is None:
            return ""
        found = self.aliases.get(part, {}).get(alias)
        if found is None:
            found = next((names[alias] for names in self.aliases.values() if alias in names), "")
        return found

    def take(self, part: str, said: Mapping[str, Any]) -> None:
        """A birth as it is kept. Where the node has other names than before, nothing holds that its devices said."""
        if not part:
            if said["names"] != self.names:
                for known in (self.aliases, self.types, self.taken):
                    known.clear()
            self.names, self.born = said["names"], said["born"]
        self.aliases[part] = {alias: name for name, alias, _ in said["metrics"] if alias is not None}
        self.types[part] = {name: kind for name, _, kind in said["metrics"]}
        self.taken[part] = said


def known(context: Context, key: str, part: str) -> Node | None:
    """What is known of a node and this device of it. `key`: `GROUP/NODE`."""
    found = context.recall(f"sparkplug_b/{key}")
    node = found if isinstance(found, Node) else None
    said = context.recall(f"sparkplug_b.births/{key}")
    if isinstance(said, dict) and (node is None or node.taken.get("") is not said):
        if node is None:
            node = Node()
            context.remember(f"sparkplug_b/{key}", node)
        node.take("", said)  # pyright: ignore[reportUnknownArgumentType] - as `learn` has made it
    if part and node is not None:
        below = context.recall(f"sparkplug_b.births/{key}/{part}")
        if isinstance(below, dict) and node.taken.get(part) is not below and below["of"] == node.names:
            node.take(part, below)  # pyright: ignore[reportUnknownArgumentType] - as `learn` has made it
    return node


def learn(
    context: Context, key: str, part: str, device: str, metrics: Sequence[Metric], born: int | None, at: int
) -> Node:
    """A birth: what was known of this device goes, of the whole node if it has other names than before."""
    node = known(context, key, part) or Node()
    names = [[one.name, one.alias, one.kind] for one in metrics if one.name]
    if part:
        said: dict[str, Any] = {"of": node.names, "metrics": names}
    else:
        said = {"names": hashed(repr(names).encode()), "born": born, "metrics": names}
    if not part or part in node.types or len(node.types) < _KNOWN_DEVICES:
        context.learn(device, f"sparkplug_b.births/{key}/{part}" if part else f"sparkplug_b.births/{key}", said, at)
        kept = context.recall(f"sparkplug_b.births/{key}/{part}" if part else f"sparkplug_b.births/{key}")
        node.take(part, kept if isinstance(kept, dict) else said)  # pyright: ignore[reportUnknownArgumentType] - as above
    context.remember(f"sparkplug_b/{key}", node)
    return node


def devices(context: Context, key: str, node: Node | None) -> list[str]:
    """All devices of a node whose births were seen, by any gateway."""
    own = [] if node is None else [part for part in node.types if part]
    return list(dict.fromkeys([*own, *context.below(f"sparkplug_b.births/{key}")]))
