"""Decoders of what Bluetooth tags say, and the gateways that hear them.

In: their payloads. Out: `BLE`, their rows of the table, in the order in which patterns and contents are tried.
"""

from ingest.decoders.family import Family

BLE: tuple[Family, ...] = ()
