"""Settings of the other ways in: large payloads, and bridges to other brokers. Part of `headwater.config`.

In and out: as for `headwater.config`, whose part they are.
"""

from typing import Literal

from pydantic import Field

from headwater.config_section import Section
from headwater.quantities import Duration, Size

# fmt: off
# One line a key: this is the table of settings.


class Blobs(Section):
    """Large payloads: pictures, sweeps, clips. Kept in the folder `blobs` of the data folder, or of the bucket."""

    size: Size = Field(default=64 * 2**20, ge=2**16, description="The largest one; larger ones get 413.")
    uploads: int = Field(default=16, ge=1, description="The most that a process takes at once; more get 503. Each needs up to 32 MiB of memory on S3.")
    link: Duration = Field(default=3600, le=7 * 86_400, description="How long a signed URL works where the question does not say.")
    unfinished: Duration = Field(default=86_400, ge=3600, description="Uploads that nobody finished are removed after this.")


class Bridge(Section):
    """Another MQTT broker that is read."""

    host: str = Field(default="127.0.0.1", min_length=1, description="Name or address.")
    port: int = Field(default=1883, ge=1, le=65535, description="Port; 8883 is usual with TLS.")
    tls: bool = Field(default=False, description="Speak TLS.")
    ca: str = Field(default="", description="File with the CAs that are trusted (PEM); the system's, if empty.")
    certificate: str = Field(default="", description="File with a client certificate (PEM) …")
    key: str = Field(default="", description="… and with its private key.")
    user: str = Field(default="", description="User name; empty: none.")
    password_file: str = Field(default="", description="File that holds the password.")
    client_id: str = Field(default="headwater-{name}-{host}", min_length=1, max_length=128, description="`{name}` is the bridge's, `{host}` this machine's: its session at the broker is found again by it, so each gateway needs its own.")
    version: Literal["auto", "5", "3.1.1"] = Field(default="auto", description="`auto`: 5, and 3.1.1 where the broker refuses that. 3.1.1 has no shared subscriptions: every gateway then reads everything.")
    filters: tuple[str, ...] = Field(default=("#",), min_length=1, description="What to subscribe to, at QoS 1.")
    share: str = Field(default="headwater", pattern=r"^[^/+#]*$", description="Name of the shared subscription by which several gateways share the load; empty: each reads everything.")
    topics: dict[str, str] = Field(default_factory=dict, description="Their topics → ours: `plant/+/{device}/state: devices/{device}/telemetry`. What fits none keeps its topic.")
    devices: tuple[str, ...] = Field(default=("*",), description="Devices it may speak for: names, or `prefix*`.")
    quota: str = Field(default="", description="Its class in `quotas.classes`: `publishes` and `size` of a gateway's connection to it; beyond, it is acknowledged later. Empty: no limit but `quotas.publishes`, of all together.")
    back: tuple[str, ...] = Field(default=(), description="Filters of our topics that go back to that broker, at QoS 1: `devices/+/commands/#`.")
    back_user: str = Field(default="", description="Who hears them at our MQTT endpoint: a device that may; nobody, where loopback needs no credential.")
    back_token_file: str = Field(default="", description="File that holds its token.")
    in_flight: int = Field(default=100, ge=2, le=65_535, description="Messages that the broker may send ahead of our acknowledgements (receive maximum; MQTT 5).")
    session: Duration = Field(default=86_400, le=2**32 - 1, description="How long the broker keeps what we have not read while we are away (MQTT 5; 3.1.1: as it likes).")
    time: Duration = Field(default=10, description="How long connecting and subscribing may take.")
    retry_first: Duration = Field(default=0.5, description="The first pause after the broker was away; doubled each time, with jitter …")
    retry_most: Duration = Field(default=30, description="… up to this.")
