"""Decoders of LoRaWAN and other wide-area radio networks: what their servers publish.

In: their payloads. Out: `LORAWAN`, their rows of the table, in the order in which patterns and contents are tried.
"""

from ingest.decoders.family import Family
from ingest.decoders.lorawan import chirpstack_v3, chirpstack_v4, tts_v3

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
)
