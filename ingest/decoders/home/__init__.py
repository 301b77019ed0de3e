"""Decoders of what is at home: plugs, bulbs, sensors and their hubs.

In: their payloads. Out: `HOME`, their rows of the table, in the order in which patterns and contents are tried;
`ANYWHERE`, the rows of families whose topics carry no name of their own, to be tried after all others.
"""

from ingest.decoders.family import Family
from ingest.decoders.home import shelly_gen1, shelly_gen2, tasmota, zigbee2mqtt

HOME: tuple[Family, ...] = (
    Family("zigbee2mqtt", zigbee2mqtt.decode, zigbee2mqtt.TOPICS, title="Zigbee2MQTT", aliases=("z2m",)),
    Family(
        "shelly_gen1",
        shelly_gen1.decode,
        shelly_gen1.TOPICS,
        recognises=shelly_gen1.recognises,
        title="Shelly, first generation",
        aliases=("shelly1", "shellies"),
    ),
    Family("tasmota", tasmota.decode, tasmota.TOPICS, title="Tasmota"),
)

ANYWHERE: tuple[Family, ...] = (
    Family(
        "shelly_gen2",
        shelly_gen2.decode,
        shelly_gen2.TOPICS,
        recognises=shelly_gen2.recognises,
        title="Shelly Plus, Pro, Gen3, Gen4",
        aliases=("shelly", "shelly_gen3", "shelly_gen4"),
    ),
)
