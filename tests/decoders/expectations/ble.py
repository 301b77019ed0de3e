"""What the samples of the group `ble` expect. In: a sample. Out: an `Expectation`."""

from collections.abc import Callable, Mapping

from tests.decoders.compare import Expectation
from tests.decoders.expectations import ble_adverts, ble_tags
from tests.decoders.samples import Sample

READERS: Mapping[str, Callable[[Sample], Expectation | None]] = {
    "ble_hci_adv": ble_adverts.sensor_message,
    "theengs_ble": ble_adverts.theengs_properties,
    "bthome": ble_tags.bthome,
    "minew_gateway": ble_tags.minew_gateway,
    "reelyactive_adv": ble_tags.reelyactive,
    "ruuvi_tag": ble_tags.ruuvi_tag,
}
