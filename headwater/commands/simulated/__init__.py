"""Devices that are not there: what those of a family send, for `headwater simulate`.

In: a number and a source of chance. Out: a `Sender`: one connection, with the devices behind it. Shapes are those that
the family's firmware sends; values wander as such quantities do.
"""

from collections.abc import Callable, Mapping
from random import Random

from headwater.commands.simulated.homes import ShellyGen1, ShellyGen2, Tasmota
from headwater.commands.simulated.hubs import Esphome, Zigbee2Mqtt
from headwater.commands.simulated.radio import ChirpStack, RuuviGateway, TheThingsStack
from headwater.commands.simulated.sender import Native, Sender
from headwater.commands.simulated.tracks import OwnTracks

SENDERS: Mapping[str, tuple[Callable[[int, int, Random], Sender], int]] = {
    "native": (Native, 1),
    "tasmota": (Tasmota, 1),
    "shelly_gen1": (ShellyGen1, 1),
    "shelly_gen2": (ShellyGen2, 1),
    "zigbee2mqtt": (Zigbee2Mqtt, 20),
    "esphome": (Esphome, 1),
    "owntracks": (OwnTracks, 1),
    "chirpstack_v4": (ChirpStack, 500),
    "tts_v3": (TheThingsStack, 500),
    "ruuvi_gateway": (RuuviGateway, 20),
}
"""Family → what makes a sender of (number, devices, chance), and how many devices one has at most."""


def senders(family: str, devices: int, seed: int) -> list[Sender]:
    """As many senders as so many devices need."""
    make, each = SENDERS[family]
    made: list[Sender] = []
    for number in range((devices + each - 1) // each):
        count = min(each, devices - number * each)
        made.append(make(number, count, Random(f"{seed} {family} {number}")))  # noqa: S311 - not for secrets
    return made
