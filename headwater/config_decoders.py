"""Settings of the decoders of foreign formats. Part of `headwater.config`."""

from pathlib import Path

from pydantic import Field, field_validator

from headwater.config_section import Section
from headwater.quantities import Duration, Size

# fmt: off
# One line a key: this is the table of settings.


class Decoders(Section):
    """How payloads of other makers' formats are read. docs/devices.md has the families."""

    topics: dict[str, tuple[str, ...]] = Field(default={}, description="Family → topic patterns instead of its own: {zigbee2mqtt: [\"z2m/{device#}\"]}. `+` one level, `#` any, {device} and {device#} name it.")
    remembered: int = Field(default=100_000, ge=100, description="Names, aliases and the like that a gateway's decoders may remember, all together (the longest unused goes), and as many that all gateways know.")
    ask_every: Duration = Field(default=60, description="A device is asked for the same thing, such as its names, at most this often.")
    ble_keys: Path | None = Field(default=None, description="A file of lines `MAC KEY`, in hex: keys of Bluetooth devices that encrypt.")
    codec_time: Duration = Field(default=0.05, description="How long a maker's codec may take for one payload.")
    codec_memory: Size = Field(default=16 * 2**20, description="How much memory it may have.")

    @field_validator("topics", mode="before")
    @classmethod
    def _one_or_more(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        return {name: [one] if isinstance(one, str) else one for name, one in value.items()}  # pyright: ignore[reportUnknownVariableType]
