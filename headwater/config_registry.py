"""Settings of the registry's own. Part of `headwater.config`."""

from pydantic import Field

from headwater.config_section import Section

# fmt: off
# One line a key: this is the table of settings.


class RegistrySettings(Section):
    """The registry of devices."""

    ca: str = Field(default="", description="Folder with ca.pem and ca-key.pem (`headwater ca init`), where the API shall sign the requests of devices that provision themselves. Empty: it signs nothing, and the key may be elsewhere.")
