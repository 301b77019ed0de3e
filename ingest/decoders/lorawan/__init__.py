"""Decoders of LoRaWAN and other wide-area radio networks: what their servers publish.

In: their payloads. Out: `LORAWAN`, their rows of the table, in the order in which patterns and contents are tried.
"""

from ingest.decoders.family import Family
from ingest.decoders.lorawan import (
    actility_thingpark,
    aws_iot_lorawan,
    chirpstack_gateway_bridge,
    chirpstack_v3,
    chirpstack_v4,
    helium,
    loriot,
    ttn_v2,
    tts_v3,
)

LORAWAN: tuple[Family, ...] = (
    Family(
        "chirpstack_v4",
        chirpstack_v4.decode,
        topics=chirpstack_v4.TOPICS,
        recognises=chirpstack_v4.recognises,
        title="ChirpStack 4",
        aliases=("chirpstack",),
    ),
    Family(
        "chirpstack_v3",
        chirpstack_v3.decode,
        topics=chirpstack_v3.TOPICS,
        recognises=chirpstack_v3.recognises,
        title="ChirpStack 3",
        aliases=("loraserver",),
    ),
    Family(
        "tts_v3",
        tts_v3.decode,
        topics=tts_v3.TOPICS,
        recognises=tts_v3.recognises,
        title="The Things Stack",
        aliases=("ttn", "ttn_v3"),
    ),
    Family(
        "chirpstack_gateway_bridge",
        chirpstack_gateway_bridge.decode,
        topics=chirpstack_gateway_bridge.TOPICS,
        recognises=chirpstack_gateway_bridge.recognises,
        title="ChirpStack Gateway Bridge",
    ),
    Family(
        "actility_thingpark",
        actility_thingpark.decode,
        topics=actility_thingpark.TOPICS,
        recognises=actility_thingpark.recognises,
        title="Actility ThingPark",
        aliases=("thingpark",),
    ),
    Family(
        "aws_iot_lorawan",
        aws_iot_lorawan.decode,
        topics=aws_iot_lorawan.TOPICS,
        recognises=aws_iot_lorawan.recognises,
        title="AWS IoT Core for LoRaWAN",
    ),
    Family("ttn_v2", ttn_v2.decode, ttn_v2.TOPICS, recognises=ttn_v2.recognises, title="The Things Network v2"),
    Family("helium", helium.decode, helium.TOPICS, recognises=helium.recognises, title="Helium Console"),
    Family("loriot", loriot.decode, loriot.TOPICS, recognises=loriot.recognises, title="LORIOT"),
)
