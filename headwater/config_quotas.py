"""Settings of quotas: how much one sender may, and all of them together. Part of `headwater.config`."""

from pydantic import Field

from headwater.config_section import Section
from headwater.quantities import Duration, Size

# fmt: off
# One line a key: this is the table of settings.


class Quota(Section):
    """What a connection of a device may; over HTTP, a device. The defaults are near those of AWS IoT Core. 0: no limit."""

    publishes: float = Field(default=100, ge=0, description="Messages a second; beyond, its socket is not read for a while, and HTTP gets 429.")
    size: Size = Field(default=512 * 2**10, description="Bytes a second, likewise.")
    connects: float = Field(default=1, ge=0, description="CONNECTs a second of one client id, five at once; beyond, CONNACK says 0x9F.")
    packet_size: Size = Field(default=128 * 2**10, description="The largest PUBLISH payload, if `mqtt.payload_size` is not less.")
    in_flight: int = Field(default=100, ge=1, le=65_535, description="Unacknowledged PUBLISHes, if `mqtt.in_flight` is not less.")
    subscriptions: int = Field(default=50, ge=1, description="Subscriptions of a session, if `mqtt.subscriptions` is not less.")
    sessions: int = Field(default=100, ge=1, description="MQTT sessions that outlive their connections; beyond, CONNACK says 0x97.")
    blobs: float = Field(default=5, ge=0, description="Large payloads a second, ten seconds' worth at once; beyond, 429.")
    blob_size: Size = Field(default=8 * 2**20, description="Bytes of them a second: after more, the next one gets 429 until that is paid for.")
    topic_length: int = Field(default=256, ge=1, le=65_535, description="The longest topic in bytes; a longer one ends the connection (0x97).")


class Quotas(Section):
    """Quotas of who has credentials, each process by itself; for what they send, of devices alone. Nobody on loopback without credentials has any."""

    connects: float = Field(default=1000, ge=0, description="CONNECTs a second that a gateway takes from other machines; beyond, CONNACK says 0x9F. 0: no limit.")
    publishes: float = Field(default=0, ge=0, description="Messages a second that a gateway takes from all devices together; beyond, none is read for a while. 0: no limit.")
    claims: float = Field(default=5, ge=0, description="Devices a second that come by a claim from one address, ten seconds' worth at once; beyond, CONNACK says 0x9F, and HTTP 429. 0: no limit.")
    requests: float = Field(default=50, ge=0, description="API requests a second of one API key, or device, ten seconds' worth at once; beyond, 429. 0: no limit.")
    default: Quota = Field(default=Quota(), description="For devices whose groups name no class.")
    classes: dict[str, Quota] = Field(default={}, description="More classes by name, with the keys of `default`; `headwater groups set NAME --quota CLASS` gives one to a group.")
    report_every: Duration = Field(default=10, description="How often a gateway sends its rates as messages of its own, if any device with credentials was there. 0: never.")
    reported: int = Field(default=20, ge=0, le=1000, description="So many devices, and addresses, are reported each time: those with the most messages.")
