"""Settings of commands to devices and of their shadows."""

from pydantic import Field

from headwater.config_section import Section
from headwater.quantities import Duration, Size

# fmt: off
# One line a key: this is the table of settings.


class Commands(Section):
    """Commands to devices, and their shadows. Every gateway keeps both in memory."""

    expires: Duration = Field(default=86_400, le=30 * 86_400, description="How long a command waits for its device where it does not say so itself; 30 days at most.")
    device: int = Field(default=100, ge=1, description="The most commands of a device that are neither answered nor expired; beyond, new ones are refused (429).")
    count: int = Field(default=100_000, ge=1, description="The most commands of all devices, those that have ended too.")
    size: Size = Field(default=64 * 2**20, description="The most bytes of them, about.")
    keep: Duration = Field(default=86_400, ge=60, description="How long a command can be seen after it was answered or has expired.")
    shadows: int = Field(default=100_000, ge=1, description="The most shadows.")
    shadows_size: Size = Field(default=256 * 2**20, description="The most bytes of them, about.")
