"""Shared subscriptions: `$share/{group}/{filter}`. Source: OASIS MQTT 5.0, section 4.8.2."""

SHARED = "$share/"


def inner(pattern: str) -> str:
    """The filter itself, where it stands in a shared subscription."""
    return pattern.split("/", 2)[-1] if pattern.startswith(SHARED) else pattern
