"""The shapes of what the API answers, for its schema, with a sentence and an example each.

In: nothing. Out: models that document; `answers` writes records in these shapes, and tests compare the two.
"""

from pydantic import BaseModel, Field

_WHEN = "2026-11-21T07:40:00.123Z"


class Place(BaseModel):
    """WGS 84 degrees; altitude and accuracy in metres."""

    lat: float = Field(examples=[48.137])
    lon: float = Field(examples=[11.575])
    alt: float | None = None
    accuracy: float | None = None


class HeardBy(BaseModel):
    """A gateway that heard the device: received signal strength in dBm, signal-to-noise ratio in dB."""

    gateway: str = Field(examples=["gateway-3"])
    rssi: float | None = Field(default=None, examples=[-71.0])
    snr: float | None = None


class NewestValue(BaseModel):
    """The newest value of a field: by the device's time, not by arrival."""

    value: bool | int | float | str = Field(examples=[647])
    time: str = Field(description="When it was so.", examples=[_WHEN])
    received: str = Field(description="When the message arrived.", examples=[_WHEN])
    unit: str | None = Field(default=None, description="From the device's model.", examples=["V"])


class LatestAnswer(BaseModel):
    """A device now."""

    device: str = Field(examples=["7"])
    kind: str = Field(description="Of its newest message.", examples=["telemetry"])
    seen: str = Field(description="When anything last arrived.", examples=[_WHEN])
    time: str = Field(description="Of its newest message.", examples=[_WHEN])
    fields: dict[str, NewestValue] = Field(description="Numbers and booleans.")
    texts: dict[str, NewestValue] = Field(description="Strings.")
    position: Place | None = None
    position_time: str | None = None
    heard_by: list[HeardBy] = Field(description="By whom its newest message was heard.")
    via: str | None = Field(description="Who sent its newest message, where that was not the device itself.")
    decoder: str = Field(description="Which decoder read its newest message.", examples=["native"])
    entries: int = Field(
        description="Its messages on the log; one that came again around a crash counts again.", examples=[42]
    )


class NearAnswer(LatestAnswer):
    """A device, and how far it is."""

    distance: float = Field(description="Metres, by the great circle.", examples=[120.5])


class NearPage(BaseModel):
    """Devices near a place, nearest first."""

    items: list[NearAnswer]


class DevicePage(BaseModel):
    """Devices by name."""

    items: list[LatestAnswer]
    next: str | None = Field(description="Give it as `after` for those behind; null if there are none.")


class FieldAnswer(BaseModel):
    """A field of a device, and what its model says of it."""

    name: str = Field(examples=["voltage"])
    type: str = Field(description="`number`, `integer`, `boolean` or `text`.", examples=["number"])
    unit: str | None = Field(default=None, examples=["V"])
    min: float | None = None
    max: float | None = None
    time: str | None = Field(description="When it was last said; null if never.", examples=[_WHEN])


class DeviceAnswer(BaseModel):
    """What is known about a device, without its values."""

    device: str = Field(examples=["7"])
    model: str = Field(description="By which model its messages are checked and selected.", examples=["default"])
    kind: str = Field(examples=["telemetry"])
    seen: str = Field(examples=[_WHEN])
    time: str = Field(examples=[_WHEN])
    via: str | None
    entries: int = Field(examples=[42])
    fields: list[FieldAnswer]


class RowItem(BaseModel):
    """One message, as the reports keep it for a day."""

    device: str = Field(examples=["7"])
    id: str = Field(description="Unique within the device.", examples=["5f0c3a9be2d14477"])
    time: str = Field(description="What orders it: `at` where that can be believed, else `received`.", examples=[_WHEN])
    received: str = Field(description="Our clock.", examples=[_WHEN])
    at: str | None = Field(description="The device's clock.", examples=[_WHEN])
    flag: str = Field(description="Why `time` is not `at`: `none`, `past`, `future`; empty if it is.", examples=[""])
    seq: int | None = Field(examples=[400])
    kind: str = Field(examples=["telemetry"])
    fields: dict[str, bool | int | float] = Field(examples=[{"voltage": 647}])
    texts: dict[str, str] = Field(examples=[{"state": "on"}])
    position: Place | None
    heard_by: list[HeardBy]
    via: str | None


class HistoryItem(RowItem):
    """One message, and where it stands on the log."""

    partition: int
    offset: int


class HistoryPage(BaseModel):
    """Messages of a device."""

    items: list[HistoryItem]
    next: str | None = Field(description="Give it as `cursor` for those behind; null if there are none.")


class RowPage(BaseModel):
    """Messages of the last day, oldest first; each once, a second or so after it came."""

    items: list[RowItem]
    next: str | None = Field(description="Give it as `cursor` for those behind; null if there are none.")


class RollupItem(BaseModel):
    """One field of one device over one period."""

    device: str = Field(examples=["7"])
    field: str = Field(examples=["voltage"])
    start: str = Field(description="Of the period, UTC, by the messages' `time`.", examples=[_WHEN])
    count: int = Field(examples=[60])
    sum: str = Field(description="Exact, as a decimal.", examples=["38820"])
    min: float = Field(examples=[640])
    max: float = Field(examples=[655])
    last: float = Field(description="By time.", examples=[647])


class RollupPage(BaseModel):
    """Rollups by start, device and field; a message is in them a second or so after it came."""

    items: list[RollupItem]
    next: str | None = Field(description="Give it as `cursor` for those behind; null if there are none.")


class OriginAnswer(BaseModel):
    """Where a candidate's message stands on the log."""

    partition: int
    offset: int
    n: int


class CandidateItem(BaseModel):
    """A record that a rule chose, and why."""

    id: str
    device: str
    time: str = Field(examples=[_WHEN])
    rule: str = Field(examples=["default"])
    rule_version: int
    reasons: list[str] = Field(examples=[["voltage changed"]])
    kind: str = Field(description="`message`; `silent`: nothing has come since `time`.", examples=["message"])
    revision: int
    origin: OriginAnswer
    message: HistoryItem


class CandidatePage(BaseModel):
    """Candidate records."""

    items: list[CandidateItem]
    next: str | None = Field(description="Give it as `cursor` for those behind; null if there are none.")


class RejectedItem(BaseModel):
    """What was not valid, and why."""

    id: str
    received: str = Field(examples=[_WHEN])
    reason: str = Field(description="A code of a closed set.", examples=["bad_json"])
    detail: str = Field(description="What to change, for people.")
    device: str
    via: str | None = Field(description="Who sent it, where that was not the device itself.")
    transport: str = Field(examples=["http"])
    topic: str
    peer: str
    decoder: str
    stage: str = Field(description="`ingest`, or the store that refused it.", examples=["ingest"])
    size: int = Field(description="Bytes of the whole payload.")
    sha256: str = Field(description="Of the whole payload.")
    payload: str = Field(description="Its beginning as text; what is no UTF-8 is replaced.")
    payload_base64: str | None = Field(description="The same bytes, where they are no UTF-8.")
    origin: OriginAnswer | None


class RejectedPage(BaseModel):
    """Rejected messages, newest first. To go on, ask again with `to` the last one's `received`."""

    items: list[RejectedItem]
