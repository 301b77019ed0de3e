"""Real payloads of about sixty families, one object a line; each line carries where it comes from and its licence.

In: `data/payloads/*.ndjson` of the folder that lies beside the project. Out: `Sample`s. Only read there, never copied.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ingest.contract import Payload, Source
from ingest.decoders.families import built_in

FOLDER = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "payloads"
RECEIVED = 1_763_700_000_000_000
DEVICE = "device-1"
CATALOGUE = built_in()


class Sample(NamedTuple):
    """`expected`: what the source says the payload means, None if it says nothing. `raw`: the line itself."""

    id: str
    family: str
    transport: str
    topic: str
    path: str
    data: bytes
    expected: Any
    raw: Mapping[str, Any]

    def source(self) -> Source:
        """As it would come: on its topic if it has one, else by HTTP with its family as the decoder's name."""
        if self.topic and self.transport == "mqtt":
            device = CATALOGUE.source(self.topic).device
            return Source("mqtt", self.topic, device or DEVICE, self.family, peer="127.0.0.1:5")
        query = urlsplit(self.path.partition(" ")[2] or self.path).query
        if "bindkey" in self.raw:
            query = f"bindkey={self.raw['bindkey']}"
        if self.family == "reelyactive_adv":
            query = f"company={self.path.partition(' ')[2]}"
        return Source("http", "", self.device, self.family, query=query if self.data else "")

    @property
    def device(self) -> str:
        """What a path would name: a radio's address, if it is known.

        Traccar's cases have none: there a payload that names no device is refused.
        """
        traccar = self.transport == "http" and self.raw.get("source", "").startswith("traccar/")
        return "" if traccar else self.raw.get("address", DEVICE)

    def payload(self) -> Payload:
        """What the decoder gets."""
        return Payload(self.data, self.source(), RECEIVED, CATALOGUE.context)


@cache
def families() -> tuple[str, ...]:
    """The names of the families there are samples of; none if the folder is not there."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.ndjson")))


@cache
def samples(family: str) -> tuple[Sample, ...]:
    """All samples of a family."""
    return tuple(_read(FOLDER / f"{family}.ndjson"))


def _read(path: Path) -> Iterator[Sample]:
    for line in path.read_text("utf-8").splitlines():
        row = json.loads(line)
        where = row.get("path", "")
        data = _bytes(row)
        if not data and "?" in where:
            data = urlsplit(where.partition(" ")[2] or where).query.encode()
        yield Sample(
            row["id"], row["family"], row["transport"], row.get("topic", ""), where, data, row.get("expected"), row
        )


def _bytes(row: Mapping[str, Any]) -> bytes:
    if "payload_b64" in row:
        return base64.b64decode(row["payload_b64"])
    payload = row.get("payload", "")
    if isinstance(payload, str):
        return payload.encode()
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
