"""Decoders of what is at home: plugs, bulbs, sensors and their hubs.

In: their payloads. Out: `HOME`, their rows of the table, in the order in which patterns and contents are tried;
`ANYWHERE`, the rows of families whose topics carry no name of their own, to be tried after all others.
"""

from ingest.decoders.family import Family
from ingest.decoders.home import (
    esphome,
    espresense,
    go_iotdevice,
    ha_mqtt_discovery,
    moziot_lab,
    openmqttgateway,
    room_assistant,
    shelly_gen1,
    shelly_gen2,
    tasmota,
    zigbee2mqtt,
)

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
    Family(
        "ha_mqtt_discovery",
        ha_mqtt_discovery.decode,
        ha_mqtt_discovery.TOPICS,
        title="Home Assistant discovery",
        aliases=("homeassistant",),
    ),
    Family("espresense", espresense.decode, espresense.TOPICS, title="ESPresense"),
    Family(
        "room_assistant", room_assistant.decode, room_assistant.TOPICS, title="room-assistant", aliases=("mqtt_room",)
    ),
    Family("go_iotdevice", go_iotdevice.decode, go_iotdevice.TOPICS, title="go-iotdevice"),
    Family("moziot_lab", moziot_lab.decode, moziot_lab.TOPICS, title="Mozilla IoT laboratory"),
    Family("tasmota", tasmota.decode, tasmota.TOPICS, title="Tasmota"),
)

ANYWHERE: tuple[Family, ...] = (
    Family(
        "openmqttgateway", openmqttgateway.decode, openmqttgateway.TOPICS, title="OpenMQTTGateway", aliases=("omg",)
    ),
    Family(
        "shelly_gen2",
        shelly_gen2.decode,
        shelly_gen2.TOPICS,
        recognises=shelly_gen2.recognises,
        title="Shelly Plus, Pro, Gen3, Gen4",
        aliases=("shelly", "shelly_gen3", "shelly_gen4"),
    ),
    Family("esphome", esphome.decode, esphome.TOPICS, title="ESPHome"),
)
