"""Topic rules: MQTT filters that say what may be published to and heard, where nothing said means no.

In: filters as a group has them, in which a level may be `{device}` or `{group}`. Out: filters of one device, and
whether a topic, or all that a subscription could hear, is within them. Source: OASIS MQTT 5.0, section 4.7.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache

from headwater.errors import Rejected

LENGTH = 1024
LEVELS = 32
MOST = 100
"""Filters of a group in each direction."""


def check_grants(filters: Sequence[str]) -> tuple[str, ...]:
    """Sorted, each once. Raises `Rejected("bad_value")`."""
    if len(filters) > MOST:
        raise Rejected("bad_value", f"{MOST} topic rules at most")
    for pattern in filters:
        levels = pattern.split("/")
        if not pattern or len(pattern.encode()) > LENGTH or len(levels) > LEVELS or "\0" in pattern:
            raise Rejected("bad_value", f"{pattern[:80]!r}: a topic filter has 1 to {LENGTH} bytes and {LEVELS} levels")
        if "#" in levels[:-1] or any(level not in {"#", "+"} and ("#" in level or "+" in level) for level in levels):
            raise Rejected("bad_value", f"{pattern!r}: + stands alone in its level, # alone in the last one")
        if any(level not in {"{device}", "{group}"} and ("{" in level or "}" in level) for level in levels):
            raise Rejected("bad_value", f"{pattern!r}: {{device}} and {{group}} are all that may stand in braces")
    return tuple(sorted(set(filters)))


def granted(filters: Iterable[str], device: str, group: str) -> tuple[str, ...]:
    """The filters of one device in this group; names have no `/` and no wildcards."""
    names = {"{device}": device, "{group}": group}
    return tuple("/".join(names.get(level, level) for level in pattern.split("/")) for pattern in filters)


@lru_cache(maxsize=16_384)
def within(wanted: str, grants: tuple[str, ...]) -> bool:
    """True if every topic that `wanted`, a topic or a filter, stands for is granted by one of these filters."""
    levels = wanted.split("/")
    return any(_covers(grant.split("/"), levels) for grant in grants)


def _covers(grant: Sequence[str], wanted: Sequence[str]) -> bool:
    if wanted[0].startswith("$") and grant[0] in {"+", "#"}:
        return False
    for number, level in enumerate(grant):
        if level == "#":
            return True
        if number == len(wanted):
            return False
        if wanted[number] == "#" or (level != "+" and level != wanted[number]):
            return False
    return len(grant) == len(wanted)
