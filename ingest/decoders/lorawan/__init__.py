"""Decoders of LoRaWAN and other wide-area radio networks: what their servers publish.

In: their payloads. Out: `LORAWAN`, their rows of the table, in the order in which patterns and contents are tried.
"""

from ingest.decoders.family import Family

LORAWAN: tuple[Family, ...] = ()
