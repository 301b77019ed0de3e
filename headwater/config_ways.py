"""Settings of the other ways in: large payloads, and bridges to other brokers. Part of `headwater.config`.

In and out: as for `headwater.config`, whose part they are.
"""

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
