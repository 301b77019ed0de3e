"""Decoders of what is at home: plugs, bulbs, sensors and their hubs.

In: their payloads. Out: `HOME`, their rows of the table, in the order in which patterns and contents are tried.
"""

from ingest.decoders.family import Family
from ingest.decoders.home import tasmota, zigbee2mqtt

HOME: tuple[Family, ...] = (
    Family("zigbee2mqtt", zigbee2mqtt.decode, zigbee2mqtt.TOPICS, title="Zigbee2MQTT", aliases=("z2m",)),
    Family("tasmota", tasmota.decode, tasmota.TOPICS, title="Tasmota"),
)
