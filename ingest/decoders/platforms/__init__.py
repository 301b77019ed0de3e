"""Decoders of formats of platforms and standards.

In: their payloads. Out: `PLATFORMS`, their rows of the table, in the order in which patterns and contents are tried.
"""

from ingest.decoders.family import Family

PLATFORMS: tuple[Family, ...] = ()
