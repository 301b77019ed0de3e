"""The sections of the stores for answering: live state, documents, search, reports. The lake's is in `config`."""

from pydantic import Field

from headwater.config_section import Section
from headwater.quantities import Duration

# fmt: off
# One line a key: this is the table of settings.


class Live(Section):
    """Live state: the newest value of each field of each device."""

    batch: int = Field(default=5_000, ge=1, description="The most messages written at once.")
    wait: Duration = Field(default=0.005, description="How long a batch waits for company.")


class Documents(Section):
    """Documents: candidates as they are, by device and time."""

    batch: int = Field(default=2_000, ge=1, description="The most candidates written at once.")
    wait: Duration = Field(default=0.05, description="How long a batch waits for company.")
    retention: Duration = Field(default=90 * 86_400, description="How long a candidate is kept here, by its `time`. The lake keeps it for ever.")


class Search(Section):
    """Search: candidates by word, field, place and time."""

    batch: int = Field(default=2_000, ge=1, description="The most candidates written at once.")
    wait: Duration = Field(default=0.2, description="How long a batch waits for company.")
    retention: Duration = Field(default=30 * 86_400, description="How long a candidate can be found here, by its `time`, in whole days.")


class Reports(Section):
    """Reports: rollups per minute, hour and day, and every message of the last day in rows."""

    batch: int = Field(default=5_000, ge=1, description="The most messages written at once.")
    wait: Duration = Field(default=0.2, description="How long a batch waits for company.")
    rows: Duration = Field(default=86_400, description="How long a message is kept as a row, by `received`. Rollups are kept for ever.")

# fmt: on
