"""Topic names and topic filters: which are valid. Source: OASIS MQTT 5.0, section 4.7.

In: names and filters as clients send them. Out: nothing, or `MalformedPacket`.
"""

from ingest.mqtt.reasons import MalformedPacket, ReasonCode

TOPIC_LENGTH = 1024
"""Bytes of a topic name or filter at most: it is kept for each connection that uses it."""

LEVELS = 32
"""Levels of a topic name or filter at most: what matching one may cost grows with them."""


def check_name(topic: str) -> None:
    """A topic name: at least one character, no wildcards, bounded. Raises `MalformedPacket`."""
    if not topic:
        raise MalformedPacket(ReasonCode.TOPIC_NAME_INVALID, "a topic has at least one character")
    if "+" in topic or "#" in topic:
        raise MalformedPacket(ReasonCode.TOPIC_NAME_INVALID, "a topic name has no wildcards")
    _check_bounds(topic, ReasonCode.TOPIC_NAME_INVALID)


def check_filter(pattern: str) -> None:
    """A topic filter: `+` alone in its level, `#` alone in the last one, bounded. Raises `MalformedPacket`."""
    if not pattern:
        raise MalformedPacket(ReasonCode.TOPIC_FILTER_INVALID, "a topic filter has at least one character")
    _check_bounds(pattern, ReasonCode.TOPIC_FILTER_INVALID)
    levels = pattern.split("/")
    if levels[0] == "$share":
        if len(levels) < 3 or not levels[1] or "+" in levels[1] or "#" in levels[1] or levels[2:] == [""]:
            raise MalformedPacket(ReasonCode.TOPIC_FILTER_INVALID, "a shared subscription is $share/{name}/{filter}")
        levels = levels[2:]
    for level in levels:
        if level not in {"+", "#"} and ("+" in level or "#" in level):
            raise MalformedPacket(ReasonCode.TOPIC_FILTER_INVALID, "a wildcard stands alone in its level")
    if "#" in levels[:-1]:
        raise MalformedPacket(ReasonCode.TOPIC_FILTER_INVALID, "# stands in the last level only")


def _check_bounds(topic: str, code: ReasonCode) -> None:
    if len(topic) > TOPIC_LENGTH or len(topic.encode()) > TOPIC_LENGTH:
        raise MalformedPacket(code, f"a topic has {TOPIC_LENGTH} bytes at most")
    if topic.count("/") >= LEVELS:
        raise MalformedPacket(code, f"a topic has {LEVELS} levels at most")
