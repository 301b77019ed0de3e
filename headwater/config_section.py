"""What every section of the configuration obeys: an unknown key is a mistake, and nothing changes after the start."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """One section."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)
