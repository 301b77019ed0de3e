"""Decoders of what is at home: plugs, bulbs, sensors and their hubs.

In: their payloads. Out: `HOME`, their rows of the table, in the order in which patterns and contents are tried.
"""

from ingest.decoders.family import Family
from ingest.decoders.home import tasmota

HOME: tuple[Family, ...] = (Family("tasmota", tasmota.decode, tasmota.TOPICS, title="Tasmota"),)
