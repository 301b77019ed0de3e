"""What Elasticsearch keeps of a candidate, and in which indexes: one a day of `time`, behind one alias; one ledger.

In: candidates. Out: names, mapping, documents. `words` and `pairs` are compared as they are: `keyword`, no analysis.
`micros` and `id` are the order; `candidate` gives the identical candidate back; the rest is for people with Kibana.
"""

from datetime import UTC, date, datetime, timedelta

import msgspec

from headwater.message import Candidate
from storage.search_batch import DAY, Kept, place_of
from storage.search_words import words_of

_EPOCH = date(1970, 1, 1)
_FOUND_BY = {"type": "keyword", "doc_values": False}
_SHOWN = {"type": "keyword", "ignore_above": 1024}
MAPPING: dict[str, object] = {
    "dynamic": "strict",
    "properties": {
        "id": {"type": "keyword"},
        "micros": {"type": "long"},
        "words": _FOUND_BY,
        "pairs": _FOUND_BY,
        "place": {"type": "geo_point"},
        "time": {"type": "date", "format": "epoch_millis"},
        "device": _SHOWN,
        "rule": _SHOWN,
        "kind": _SHOWN,
        "revision": {"type": "integer"},
        "candidate": {"type": "object", "enabled": False},
    },
}
LEDGER_MAPPING: dict[str, object] = {
    "dynamic": "strict",
    "properties": {
        "log_id": {"type": "keyword"},
        "topic": {"type": "keyword"},
        "partition": {"type": "integer"},
        "position": {"type": "long"},
    },
}
MOST_DAYS = 800
"""A node takes 1,000 shards unless told otherwise, and a day is one and its replicas."""


class _Document(msgspec.Struct, omit_defaults=True, gc=False):
    id: str
    micros: int
    time: int
    device: str
    rule: str
    kind: str
    revision: int
    words: list[str]
    pairs: list[str]
    candidate: msgspec.Raw
    place: tuple[float, float] | None = None  # longitude first, as GeoJSON has it


_encode = msgspec.json.Encoder().encode


class Names:
    """The names of all that belongs to one prefix."""

    def __init__(self, prefix: str) -> None:
        self.alias = f"{prefix}-candidates"
        self.ledger = f"{prefix}-ledger"
        self._days: dict[int, str] = {}

    def index(self, time: int) -> str:
        """The index of the day of `time`."""
        day = time // DAY
        name = self._days.get(day)
        if name is None:
            if len(self._days) >= MOST_DAYS:
                self._days.clear()
            name = self._days[day] = f"{self.alias}-{(_EPOCH + timedelta(days=day)):%Y.%m.%d}"
        return name

    def end(self, index: str) -> int | None:
        """When the index's day ends; None if it is not one of ours."""
        try:
            day = datetime.strptime(index.removeprefix(f"{self.alias}-"), "%Y.%m.%d").replace(tzinfo=UTC)
        except ValueError:
            return None
        return ((day.date() - _EPOCH).days + 1) * DAY

    def template(self, replicas: int) -> dict[str, object]:
        """The index template of the days: whoever makes such an index, it has this mapping and the alias."""
        made = {"settings": settings(replicas), "mappings": MAPPING, "aliases": {self.alias: {}}}
        return {"index_patterns": [f"{self.alias}-*"], "template": made, "priority": 500}


def settings(replicas: int) -> dict[str, object]:
    """One shard an index; a request is answered when its translog is on disk."""
    return {
        "number_of_shards": 1,
        "number_of_replicas": replicas,
        "translog.durability": "request",
        "refresh_interval": "1s",
    }


def document(kept: Kept) -> bytes:
    """The document of a candidate."""
    _, candidate, json = kept
    at = place_of(candidate)
    words, pairs = words_of(candidate)
    return _encode(
        _Document(
            id=candidate.id,
            micros=candidate.time,
            time=candidate.time // 1000,
            device=candidate.device,
            rule=candidate.rule,
            kind=candidate.kind,
            revision=candidate.revision,
            words=words,
            pairs=pairs,
            candidate=msgspec.Raw(json),
            place=None if at is None else (at.lon, at.lat),
        )
    )


def moved(candidate: Candidate) -> bytes:
    """What stands in the place of an older revision that lies in another day's index: found by nothing."""
    return _encode({"revision": candidate.revision})
