"""The decoders that this process knows, and which of them reads a payload.

In: the built-in families, those of the configuration, of installed packages and of the registry; a topic, a name, a
model, bytes. Out: a `Source`; a `Family`, or `Rejected`. Chosen by name, else by topic, else by model, else by content.
"""

import re
from collections.abc import Mapping, Sequence

from headwater.errors import Rejected
from ingest.contract import NOTHING_KNOWN, Context, Source
from ingest.decoders import native, passed_on
from ingest.decoders.family import Family
from ingest.decoders.naming import device_name
from ingest.decoders.parts import short
from ingest.decoders.patterns import compile_pattern

NATIVE = Family("native", native.decode, title="Headwater's own", aliases=("flat",))
NATIVE_TOPIC = "devices/{device}/telemetry"
_REMEMBERED = 8192

Match = tuple[str, str] | None


class Catalogue:
    """`topics`: patterns by family that stand instead of its own. `version` grows with every change of the table."""

    def __init__(self, families: Sequence[Family] = (), topics: Mapping[str, Sequence[str]] | None = None) -> None:
        self._fixed = tuple(families)
        self._topics = dict(topics or {})
        self.version = 0
        self.families: tuple[Family, ...] = ()
        self.context: Context = NOTHING_KNOWN
        through = passed_on.PassedOn(self.source, self.by_source)
        self._passed_on = Family(passed_on.NAME, through, title="Passed on by an agent", names_itself=True)
        self.extend(())

    def extend(self, families: Sequence[Family]) -> None:
        """Take these too, before the fixed ones and instead of those of the same name; what was added before goes."""
        names = {family.name for family in families}
        self.families = (*families, *(family for family in self._fixed if family.name not in names))
        self._names = {name: family for family in reversed(self.families) for name in (*family.aliases, family.name)}
        self._names |= dict.fromkeys(("native", "flat"), NATIVE)
        self._names[passed_on.NAME] = self._passed_on
        self._patterns: list[tuple[str, re.Pattern[str]]] = [("native", compile_pattern(NATIVE_TOPIC))]
        for family in self.families:
            for pattern in self._topics.get(family.name, family.topics):
                self._patterns.append((family.name, compile_pattern(pattern)))
        self._by_content = tuple(family for family in self.families if family.recognises is not None)
        self._by_model = {model: family for family in reversed(self.families) for model in family.models}
        self._matches: dict[str, Match] = {}
        self.version += 1

    def source(self, topic: str, peer: str = "", transport: str = "mqtt") -> Source:
        """The source of all that comes on this topic from this peer. `decoder` "": there is none for it."""
        found = self._match(topic)
        if found is None:
            return Source(transport, topic, peer=peer)
        return Source(transport, topic, found[1], found[0], peer=peer)

    def knows(self, topic: str) -> bool:
        """Whether a decoder reads this topic."""
        return self._match(topic) is not None

    def named(self, name: str) -> Family:
        """The family of this name or alias; raises `Rejected("unknown_decoder")`."""
        family = self._names.get(name)
        if family is None:
            names = ", ".join(["native", *sorted(family.name for family in self.families)])
            raise Rejected("unknown_decoder", f"there is no decoder {short(name)}; there are: {names}")
        return family

    def by_source(self, source: Source) -> Family | None:
        """What the source alone settles; None: the model or the payload has to say. Raises `Rejected`."""
        if source.decoder:
            return self.named(source.decoder)
        if source.topic:
            found = self._match(source.topic)
            if found is None:
                detail = f"no decoder reads the topic {short(source.topic)}; try devices/NAME/telemetry"
                raise Rejected("no_decoder", detail)
            return self.named(found[0])
        return None if self._by_content or self._by_model else NATIVE

    def by_model(self, model: str) -> Family | None:
        """The family that devices of this model speak, if it is a foreign one."""
        return self._by_model.get(model)

    def by_payload(self, data: bytes, model: str) -> Family:
        """The family of the device's model, else the first that recognises the bytes, else Headwater's own."""
        family = self.by_model(model)
        if family is not None:
            return family
        for family in self._by_content:
            if family.recognises is not None and family.recognises(data):
                return family
        return NATIVE

    def _match(self, topic: str) -> Match:
        """(decoder, device) of the first pattern that fits."""
        try:
            return self._matches[topic]
        except KeyError:
            pass
        found: Match = None
        for decoder, pattern in self._patterns:
            fit = pattern.fullmatch(topic)
            if fit is not None:
                own = fit.groupdict().get("device", "")
                found = (decoder, own if decoder == "native" else _named(own))
                break
        if len(self._matches) >= _REMEMBERED:
            self._matches.clear()
        self._matches[topic] = found
        return found


def _named(own: str) -> str:
    """The device that a level of a topic names; "" if it cannot name one: then the payload has to."""
    try:
        return device_name(own) if own else ""
    except Rejected:
        return ""
