"""What simulated devices send is what their family's decoder reads: every payload, on its own topic."""

import json

import pytest

from headwater.commands.simulated import SENDERS, senders
from headwater.message import Message
from ingest.contract import Payload
from ingest.decoders.families import built_in

CATALOGUE = built_in()
NOW = 1_763_700_000


@pytest.mark.parametrize("family", sorted(SENDERS))
def test_every_payload_is_read_by_its_own_family(family: str) -> None:
    made = senders(family, 5, seed=1)
    again = senders(family, 5, seed=1)
    assert sum(sender.devices for sender in made) == 5
    assert len({sender.client_id for sender in made}) == len(made)
    devices: dict[str, dict[str, object]] = {}
    for sender, twin in zip(made, again, strict=True):
        sent = [*sender.hello(NOW), *(one for device in range(sender.devices) for one in sender.say(device, NOW + 10))]
        assert sent == [
            *twin.hello(NOW),
            *(one for device in range(twin.devices) for one in twin.say(device, NOW + 10)),
        ]
        for one in [*sent, *([sender.will] if sender.will else [])]:
            source = CATALOGUE.source(one.topic)
            assert source.decoder == family or "homeassistant" in one.topic, one.topic
            read = CATALOGUE.named(source.decoder).decode(Payload(one.payload, source, NOW * 1_000_000))
            for message in read:
                assert isinstance(message, Message), (one, message)
                devices.setdefault(message.device, {}).update({**message.fields, **message.texts})
                if message.position is not None:
                    devices[message.device]["lat"] = message.position.lat
    measured = [name for name, values in devices.items() if _values(values)]
    assert len(measured) >= 5, json.dumps(devices, default=str)[:2000]


def _values(values: dict[str, object]) -> bool:
    return any(isinstance(value, float) for value in values.values())
