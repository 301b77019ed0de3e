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
_FINAL = (
    "1.1.1:final_context_cwd,1.1.2:final_context_file_name,1.1.3:final_context_function_name,"
    "1.1.4:final_context_host_name,1.1.5:final_context_line_number,1.1.6:final_context_package_name,"
    "1.1.11:final_context_process_id,1.1.12:final_context_thread_id,1.1.13:final_context_user_id,"
    "1.1.14:final_context_user_name,1.1.15:final_context_application_name,1.2:final_name,1.3:final_inheritance_,"
    "1.4:final_message,1.5:final_severity,1.6::unix_ms,1.7.2:final_parameters_id,10:session,11:application"
)
_TELEGRAF = {
    "multiple_messages": "endianness=le&entries=@16:8:0x0A,_::32,address:uint16,count:int16,failure:bool:32,value:float64,"
    ":unix&entries=@16:8:0x0B,_::32,value:uint32,:unix&entries=@16:8:0x0C,_::32,x:float32,y:float32,:unix",
    "protobuf_benchmark": "protobuf=1.1:source,1.2:tags_sdkver,1.3:tags_platform,1.4:value:float64,1.5::unix_ns&rows=1",
    "protobuf_issue_13715": f"protobuf={_FINAL}",
}
"""What the configuration of a case says of its bytes, in the words of our query; all others need none."""


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
        if self.family == "telegraf_binary":
            query = _TELEGRAF.get(self.raw["case"], "")
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
