"""Settings of models: what a kind of device may say, and which messages are selected. Part of `headwater.config`."""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from headwater.config_section import Section
from headwater.quantities import Duration

# fmt: off
# One line a key: this is the table of settings.


class FieldModel(Section):
    """What one field may be, and when it is worth keeping."""

    type: Literal["number", "integer", "boolean", "text"] = Field(default="number", description="number, integer, boolean or text.")
    unit: str = Field(default="", description="Shown with the value; nothing is converted.")
    min: float | None = Field(default=None, description="Smaller values are rejected (out_of_range).")
    max: float | None = Field(default=None, description="Larger values are rejected (out_of_range).")
    values: tuple[str, ...] | None = Field(default=None, description="The texts that are allowed.")
    required: bool = Field(default=False, description="Messages without it are rejected.")
    change: float | str | None = Field(default=None, description="Select when it differs by at least this: 0.5, or \"5%\".")
    every: Duration | None = Field(default=None, description="Select it at least this often, where messages come.")

    @field_validator("change")
    @classmethod
    def _change(cls, value: float | str | None) -> float | str | None:
        if isinstance(value, str):
            number = value.removesuffix("%").strip()
            if not value.endswith("%") or not number.replace(".", "", 1).isdigit():
                raise ValueError(f"{value!r} is neither a number nor a percentage like \"5%\"")
        elif value is not None and value < 0:
            raise ValueError("a change is not negative")
        return value

    @model_validator(mode="after")
    def _sense(self) -> "FieldModel":
        if self.type in {"boolean", "text"} and (self.min is not None or self.max is not None):
            raise ValueError(f"min and max make no sense for a {self.type}")
        if self.type != "text" and self.values is not None:
            raise ValueError("`values` is for texts")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min is above max")
        return self


class Select(Section):
    """When a model's messages become candidates. All of it is optional; nothing said selects nothing but field rules."""

    name: str = Field(default="", description="The rule's name; the model's, if empty.")
    change: float | str | None = Field(default=None, description="Deadband for every field without its own: 0.5, or \"5%\"; texts: any change.")
    every: Duration | None = Field(default=None, description="At least this often, where messages come.")
    movement: float | None = Field(default=None, ge=0, description="Metres from the position of the last candidate.")
    silence: Duration | None = Field(default=None, description="The first message after so long, and that the silence began.")

    _change = field_validator("change")(FieldModel._change.__func__)  # type: ignore[attr-defined]  # noqa: SLF001


class Model(Section):
    """What a kind of device may say, and how its records are selected."""

    devices: tuple[str, ...] = Field(default=(), description="Which devices: names, or patterns with *. The registry's choice comes first.")
    strict: bool = Field(default=False, description="Reject messages with fields not named here.")
    fields: dict[str, FieldModel] = Field(default={}, description="Name → what it may be.")
    select: Select = Field(default=Select(), description="When its messages become candidates.")


def default_models() -> dict[str, Model]:
    """The models where the configuration names none."""
    return {"default": Model(select=Select(change="5%", every=900, movement=25, silence=3600))}
