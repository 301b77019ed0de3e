"""Decoders of phones and vehicles: where they are.

In: their payloads. Out: `TRACKERS`, their rows of the table, in the order in which patterns and contents are tried.
"""

from ingest.decoders.family import Family
from ingest.decoders.trackers import (
    dmt_http_json,
    flespi_http,
    globalstar_http_xml,
    iotm_mqtt,
    osmand_http,
    owntracks,
    owntracks_greenwich,
    sigfox_callback,
    tracker_misc,
)

TRACKERS: tuple[Family, ...] = (
    Family(
        "owntracks_greenwich",
        owntracks_greenwich.decode,
        topics=owntracks_greenwich.TOPICS,
        title="OwnTracks Greenwich",
        aliases=("greenwich",),
    ),
    Family("owntracks", owntracks.decode, topics=owntracks.TOPICS, title="OwnTracks"),
    Family("osmand_http", osmand_http.decode, title="OsmAnd, Traccar Client", aliases=("osmand", "traccar_client")),
    Family("sigfox_callback", sigfox_callback.decode, title="Sigfox callbacks", aliases=("sigfox",)),
    Family("flespi_http", flespi_http.decode, title="flespi", aliases=("flespi",)),
    Family("dmt_http_json", dmt_http_json.decode, title="Digital Matter", aliases=("digital_matter", "dmt_http")),
    Family("globalstar_http_xml", globalstar_http_xml.decode, title="Globalstar", aliases=("globalstar",)),
    Family(
        "iotm_mqtt",
        iotm_mqtt.decode,
        topics=("Iotm",),
        recognises=iotm_mqtt.recognises,
        title="IOTM",
        aliases=("iotm",),
    ),
    Family(
        "tracker_misc",
        tracker_misc.decode,
        topics=("Pui",),
        title="Leaf Spy, PUI, hoopo, SPOT, OpenGTS and others",
        aliases=(
            "leafspy",
            "leafspy_http",
            "pui",
            "pui_mqtt",
            "hoopo",
            "spot",
            "spot_http_xml",
            "opengts",
            "outsafe",
            "ramac",
            "valtrack",
            "smartcar",
            "orbcomm",
            "polte",
            "moovbox",
            "pathaway",
            "rftrack",
            "vlt",
            "piligrim",
        ),
    ),
)
