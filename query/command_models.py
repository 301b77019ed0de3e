"""The shapes of commands and shadows in the API, for its schema, with a sentence and an example each."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from headwater.command import LONGEST

_WHEN = "2026-11-21T07:40:00.123Z"


class NewCommand(BaseModel):
    """What a device is to do."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(
        max_length=64, description="What it is called; the device knows what it means.", examples=["reboot"]
    )
    arguments: JsonValue = Field(default=None, description="Any JSON, 8 KiB at most.", examples=[{"delay": 5}])
    expires: float | None = Field(
        default=None,
        gt=0,
        le=LONGEST,
        description="Seconds that it may wait; `commands.expires` unless given.",
        examples=[3600],
    )
    id: str | None = Field(
        default=None,
        max_length=64,
        description="Yours, so that the same request again makes no second command; letters, digits, _ and -.",
        examples=["reboot-2026-11-21"],
    )


class CommandAnswer(BaseModel):
    """A command, and how far it is."""

    id: str = Field(examples=["5d0c8b1f2e3a4c6d"])
    device: str = Field(examples=["pump-7"])
    name: str = Field(examples=["reboot"])
    arguments: Any = Field(default=None, examples=[{"delay": 5}])
    state: Literal["queued", "sent", "acknowledged", "expired", "answered"] = Field(
        description="`sent`: put on a connection. `acknowledged`: the device has it. `answered`: it replied."
    )
    by: str = Field(description="Who asked for it.", examples=["admin"])
    created: str = Field(examples=[_WHEN])
    expires: str = Field(examples=[_WHEN])
    sent: str | None = Field(default=None, examples=[_WHEN])
    acknowledged: str | None = Field(default=None, examples=[_WHEN])
    answered: str | None = Field(default=None, examples=[_WHEN])
    answer: Any = Field(default=None, description="What the device said.", examples=[{"ok": True}])


class CommandPage(BaseModel):
    """Commands of a device, the oldest first."""

    items: list[CommandAnswer]


class ShadowAnswer(BaseModel):
    """What a device said it is, what it shall be, and how the two differ."""

    version: int = Field(description="Grows with each change.", examples=[4])
    desired: dict[str, Any] = Field(examples=[{"speed": 1200}])
    reported: dict[str, Any] = Field(examples=[{"speed": 900}])
    delta: dict[str, Any] = Field(description="What is desired and not reported so.", examples=[{"speed": 1200}])
    changed: str = Field(examples=[_WHEN])


class ShadowPatch(BaseModel):
    """A change: merged into what there is (RFC 7396). A null deletes a key, or all of `desired` or `reported`."""

    model_config = ConfigDict(extra="forbid")

    desired: dict[str, JsonValue] | None = Field(default=None, examples=[{"speed": 1200}])
    reported: dict[str, JsonValue] | None = Field(default=None, examples=[{"speed": 900}])
    version: int | None = Field(
        default=None,
        ge=0,
        description="Change it only if it still has this version; 0: if there is none. Else 409.",
        examples=[3],
    )
