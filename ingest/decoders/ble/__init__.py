"""Decoders of what Bluetooth tags say, and the gateways that hear them.

In: their payloads. Out: `BLE`, their rows of the table, in the order in which patterns and contents are tried.
"""

from ingest.decoders.ble import (
    ble_hci_adv,
    bthome,
    minew_gateway,
    reelyactive_adv,
    ruuvi_gateway,
    ruuvi_tag,
    theengs_ble,
)
from ingest.decoders.family import Family

BLE: tuple[Family, ...] = (
    Family(
        "ble_hci_adv",
        ble_hci_adv.decode,
        topics=("#/ble/{device}/hci",),
        recognises=ble_hci_adv.recognises,
        title="Raw Bluetooth adverts",
        aliases=("ble",),
    ),
    Family("bthome", bthome.decode, title="BTHome"),
    Family("ruuvi_tag", ruuvi_tag.decode, title="RuuviTag, Ruuvi Air", aliases=("ruuvi",)),
    Family("ruuvi_gateway", ruuvi_gateway.decode, topics=ruuvi_gateway.TOPICS, title="Ruuvi Gateway"),
    Family(
        "minew_gateway",
        minew_gateway.decode,
        topics=minew_gateway.TOPICS,
        recognises=minew_gateway.recognises,
        title="Minew gateways",
        aliases=("minew",),
    ),
    Family("reelyactive_adv", reelyactive_adv.decode, title="Industrial Bluetooth tags", aliases=("reelyactive",)),
    Family("theengs_ble", theengs_ble.decode, theengs_ble.TOPICS, title="Theengs Gateway", aliases=("theengs",)),
)
