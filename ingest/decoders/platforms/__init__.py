"""Decoders of formats of platforms and standards.

In: their payloads. Out: `PLATFORMS`, their rows of the table, in the order in which patterns and contents are tried.
"""

from ingest.decoders.family import Family
from ingest.decoders.platforms import sparkplug_b

PLATFORMS: tuple[Family, ...] = (
    Family(
        "sparkplug_b",
        sparkplug_b.decode,
        topics=("#/spBv1.0/#", "STATE/+"),
        title="Sparkplug B",
        aliases=("sparkplug",),
    ),
)
