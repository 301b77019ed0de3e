"""Who may publish and subscribe to what: the one place that the endpoint asks.

In: an identity, a topic name or filter. Out: yes or no. What a decoder knows is besides the intake's to judge, message
by message: here it is whether a topic is anyone's to use at all.
"""

from collections.abc import Callable

from headwater.grants import within
from headwater.registry import Identity
from ingest.contract import Source
from ingest.mqtt.shared import inner

PROVISION = ("provision/#",)
"""What devices that come by a claim may hear, and may name for the answer."""


class Rights:
    """By default a device has its own topics and nothing else. `everything`: everyone has every topic.

    `source`: the source of a topic, as the intake knows it.
    """

    def __init__(self, source: Callable[[str], Source], *, everything: bool = False) -> None:
        self._source = source
        self._everything = everything

    def may_publish(self, identity: Identity, topic: str) -> bool:
        """Whether what is published there goes to subscribers although no decoder takes it as a message."""
        if self._everything:
            return True
        if identity.publish and within(topic, identity.publish):
            return True
        source = self._source(topic)
        if not source.decoder:
            return False
        return identity.may_send_for(source.device) if source.device else identity.trusted

    def may_subscribe(self, identity: Identity, pattern: str) -> bool:
        """A device hears `devices/{itself or a child}/…`; whoever may read or is trusted hears everything.

        Who comes by a claim hears what is said to it about that, and nothing else.
        """
        if identity.claim:
            return within(pattern, PROVISION)
        if self._everything or identity.trusted or "read" in identity.roles or "admin" in identity.roles:
            return True
        wanted = inner(pattern)
        if identity.subscribe and within(wanted, identity.subscribe):
            return True
        levels = wanted.split("/")
        if len(levels) < 2 or levels[0] != "devices" or levels[1] in {"", "+", "#"}:
            return False
        device = levels[1]
        return device == identity.device or identity.speaks_for_child(device)
