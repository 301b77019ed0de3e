"""Decoders of formats of platforms and standards.

In: their payloads. Out: `PLATFORMS`, their rows of the table, in the order in which patterns and contents are tried.
"""

from ingest.decoders.family import Family
from ingest.decoders.platforms import (
    aws_iot_lifecycle,
    aws_iot_shadow,
    eclipse_ditto,
    eclipse_hono,
    fiware_ngsi,
    influx_line_protocol,
    meshtastic,
    ogc_sensorthings,
    senml,
    sensor_community,
    sparkplug_b,
    telegraf_binary,
    telegraf_json,
    thingsboard,
)

PLATFORMS: tuple[Family, ...] = (
    Family(
        "sparkplug_b",
        sparkplug_b.decode,
        topics=("#/spBv1.0/#", "STATE/+"),
        title="Sparkplug B",
        aliases=("sparkplug",),
    ),
    Family(
        "influx_line_protocol",
        influx_line_protocol.decode,
        topics=("telegraf/{device}/#",),
        recognises=influx_line_protocol.recognises,
        title="InfluxDB line protocol",
        aliases=("influx", "line_protocol"),
    ),
    Family("telegraf_json", telegraf_json.decode, title="Telegraf JSON"),
    Family("telegraf_binary", telegraf_binary.decode, title="Telegraf binary, CBOR, MessagePack"),
    Family(
        "senml",
        senml.decode,
        topics=("channels/+/messages/#",),
        recognises=senml.recognises,
        title="SenML",
        aliases=("sensml",),
    ),
    Family(
        "ogc_sensorthings",
        ogc_sensorthings.decode,
        topics=(
            "v1.0/#",
            "v1.1/#",
            "#/v1.0/Observations",
            "#/v1.1/Observations",
            "#/v1.0/+/Observations",
            "#/v1.1/+/Observations",
        ),
        title="OGC SensorThings",
        aliases=("sensorthings",),
    ),
    Family(
        "fiware_ngsi",
        fiware_ngsi.decode,
        recognises=fiware_ngsi.recognises,
        title="FIWARE NGSI",
        aliases=("ngsi", "ngsi_ld"),
    ),
    Family(
        "aws_iot_shadow",
        aws_iot_shadow.decode,
        topics=("#/$aws/things/{device}/shadow/#",),
        title="AWS IoT Device Shadow",
    ),
    Family(
        "aws_iot_lifecycle",
        aws_iot_lifecycle.decode,
        topics=("#/$aws/events/#",),
        title="AWS IoT events",
        aliases=("aws_iot_events",),
    ),
    Family(
        "thingsboard",
        thingsboard.decode,
        topics=("v1/devices/me/#", "v1/gateway/#", "v2/t/#", "v2/a/#", "v2/r/#", "v2/t", "v2/a"),
        title="ThingsBoard",
    ),
    Family(
        "eclipse_ditto",
        eclipse_ditto.decode,
        topics=("+/+/things/twin/#", "+/+/things/live/#"),
        recognises=eclipse_ditto.recognises,
        title="Eclipse Ditto",
        aliases=("ditto",),
    ),
    Family(
        "eclipse_hono",
        eclipse_hono.decode,
        topics=(
            "telemetry/#",
            "event/#",
            "command/+/+/res/#",
            "command/+/+/req/#",
            "t",
            "e",
            "t/+/+",
            "e/+/+",
            "c/+/+/s/#",
            "c/+/+/q/#",
        ),
        title="Eclipse Hono",
        aliases=("hono",),
    ),
    Family("sensor_community", sensor_community.decode, title="Sensor.Community", aliases=("luftdaten", "airrohr")),
    Family("meshtastic", meshtastic.decode, topics=("msh/#", "#/msh/#"), title="Meshtastic"),
)
