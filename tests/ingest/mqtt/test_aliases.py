"""Topic aliases towards a client: what it hears is what was sent, in fewer bytes, and never more than it allows."""

from hypothesis import given
from hypothesis import strategies as st

from ingest.mqtt.aliases import ALIASES_OUT
from ingest.mqtt.outbox import Outbox, Outgoing, Tally
from ingest.mqtt.packets import Packet, Publish
from ingest.mqtt.properties import Properties
from ingest.mqtt.reader import Reader
from tests.ingest.mqtt.kit import Clock, Endpoint

TOPICS = st.lists(st.sampled_from([f"devices/d{number}/telemetry" for number in range(6)]), max_size=30)


class Heard:
    """A client's reader behind an outbox. `most`: the topic alias maximum that it gave."""

    def __init__(self, most: int, version: int = 5, packet_limit: int = 10_000) -> None:
        self.reader = Reader(2**20, 2**20, most, "server", version)
        self.sizes: list[int] = []
        self.packets: list[Packet] = []
        self.box = Outbox(version, 1000, packet_limit, self._send, Clock(), Tally(), most)

    def _send(self, data: bytes) -> None:
        self.sizes.append(len(data))
        self.packets += self.reader.feed(data)
        assert self.reader.broken is None, self.reader.broken

    def put(self, topic: str, qos: int = 0, **given: int) -> None:
        publish = Publish(topic, b"x", 0, 0, Properties(**given))  # pyright: ignore[reportArgumentType]
        self.box.put(Outgoing(publish, 1000.0), qos, (7,))


@given(TOPICS, st.integers(0, 8), st.integers(0, 2))
def test_the_client_hears_every_topic_as_it_was(topics: list[str], most: int, qos: int) -> None:
    heard = Heard(most)
    for topic in topics:
        heard.put(topic, qos)
    found = [packet for packet in heard.packets if isinstance(packet, Publish)]
    assert [packet.topic for packet in found] == topics
    assert {packet.properties.subscription_identifiers for packet in found} <= {(7,)}
    assert len({packet.properties.topic_alias for packet in found} - {None}) == min(most, len(set(topics)))


def test_the_second_message_of_a_topic_is_shorter_by_its_name() -> None:
    heard = Heard(1)
    for _ in range(2):
        heard.put("devices/pump-7/telemetry")
    assert heard.sizes[0] - heard.sizes[1] == len("devices/pump-7/telemetry")


def test_a_packet_that_is_not_sent_teaches_no_alias() -> None:
    heard = Heard(5, packet_limit=40)
    heard.put("devices/a-very-long-name-of-a-device/telemetry")
    heard.put("short")
    heard.put("devices/a-very-long-name-of-a-device/telemetry")
    assert [packet.topic for packet in heard.packets if isinstance(packet, Publish)] == ["short"]


def test_a_client_that_allows_very_many_costs_no_more_than_a_few() -> None:
    heard = Heard(65_535)
    for number in range(ALIASES_OUT + 10):
        heard.put(f"t/{number}")
        heard.put(f"t/{number}")
    aliases = [packet.properties.topic_alias for packet in heard.packets if isinstance(packet, Publish)]
    assert {alias for alias in aliases if alias} == set(range(1, ALIASES_OUT + 1))


async def test_a_client_that_gives_no_maximum_gets_no_alias(here: Endpoint) -> None:
    for most in (None, 0, 2):
        client = await here.connected(f"c{most}", properties=Properties(topic_alias_maximum=most))
        await client.subscribe("devices/#")
        client.publish(b"1", b"2", qos=0)
        aliases = [(await client.expect(Publish)).properties.topic_alias for _ in range(2)]
        assert aliases == ([1, 1] if most else [None, None])
        await client.close()
