"""Decoders of phones and vehicles: where they are.

In: their payloads. Out: `TRACKERS`, their rows of the table, in the order in which patterns and contents are tried.
"""

from ingest.decoders.family import Family

TRACKERS: tuple[Family, ...] = ()
