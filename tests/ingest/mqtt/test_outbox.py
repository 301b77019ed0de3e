"""What goes out to one client: the window, the queue behind it, and what is not sent."""

from ingest.mqtt import outbox
from ingest.mqtt.outbox import Outbox, Outgoing, Tally
from ingest.mqtt.packets import Packet, Publish, Pubrel
from ingest.mqtt.properties import Properties
from ingest.mqtt.reader import Reader
from ingest.mqtt.reasons import ReasonCode
from tests.ingest.mqtt.kit import Clock


class Sent:
    """An outbox, and what it sent."""

    def __init__(self, version: int = 5, window: int = 2, packet_limit: int = 10_000) -> None:
        self.reader = Reader(2**20, 2**20, peer="server", version=version)
        self.packets: list[Packet] = []
        self.clock = Clock()
        self.tally = Tally()
        self.box = Outbox(version, window, packet_limit, self._send, self.clock, self.tally)

    def _send(self, data: bytes) -> None:
        self.packets += self.reader.feed(data)

    def message(self, payload: bytes = b"x", expiry: int | None = None, alias: int | None = None) -> Outgoing:
        given = Properties(message_expiry_interval=expiry, topic_alias=alias)
        return Outgoing(Publish("t", payload, 0, 0, given), self.clock())

    @property
    def payloads(self) -> list[bytes]:
        return [packet.payload for packet in self.packets if isinstance(packet, Publish)]

    @property
    def ids(self) -> list[int]:
        return [packet.packet_id for packet in self.packets if isinstance(packet, Publish)]


def test_no_more_are_in_flight_than_the_client_takes_and_the_order_is_kept() -> None:
    sent = Sent(window=2)
    for payload in (b"1", b"2", b"3", b"4"):
        assert sent.box.put(sent.message(payload), 1)
    assert sent.payloads == [b"1", b"2"]
    sent.box.acknowledged(sent.ids[1])
    assert sent.payloads == [b"1", b"2", b"3"]
    sent.box.acknowledged(sent.ids[0])
    assert sent.payloads == [b"1", b"2", b"3", b"4"]


def test_qos_0_is_not_held_back_by_the_window() -> None:
    sent = Sent(window=1)
    sent.box.put(sent.message(b"1"), 1)
    sent.box.put(sent.message(b"2"), 1)
    sent.box.put(sent.message(b"0"), 0)
    assert sent.payloads == [b"1", b"0"]
    assert sent.ids == [1, 0]


def test_qos_2_is_in_flight_until_pubcomp() -> None:
    sent = Sent(window=1)
    sent.box.put(sent.message(b"1"), 2)
    sent.box.put(sent.message(b"2"), 2)
    sent.box.received(1)
    assert sent.packets[-1] == Pubrel(1)
    assert sent.payloads == [b"1"]
    sent.box.acknowledged(1)
    assert sent.payloads == [b"1", b"2"]


def test_a_pubrec_for_what_is_not_in_flight_is_answered_so() -> None:
    sent = Sent()
    sent.box.received(9)
    assert sent.packets == [Pubrel(9, ReasonCode.PACKET_IDENTIFIER_NOT_FOUND)]


def test_an_acknowledgement_of_nothing_frees_nothing() -> None:
    sent = Sent(window=1)
    sent.box.put(sent.message(b"1"), 1)
    sent.box.put(sent.message(b"2"), 1)
    sent.box.acknowledged(77)
    assert sent.payloads == [b"1"]


def test_a_packet_id_in_flight_is_not_given_twice() -> None:
    sent = Sent(window=3)
    for _ in range(3):
        sent.box.put(sent.message(), 1)
    for _ in range(70_000):
        sent.box.put(sent.message(), 1)
        sent.box.acknowledged(sent.ids[-1])
        del sent.packets[:-1]
    assert sent.box.in_flight == 3
    assert sent.ids[-1] not in {1, 2}


def test_the_queue_is_bounded_by_count_and_by_bytes() -> None:
    sent = Sent(window=1)
    assert all(sent.box.put(sent.message(), 1) for _ in range(outbox.QUEUED + 1))
    assert not sent.box.put(sent.message(), 1)
    sent = Sent(window=1, packet_limit=2**28)
    large = b"x" * (outbox.QUEUED_SIZE // 4)
    assert [sent.box.put(sent.message(large), 1) for _ in range(6)] == [True] * 5 + [False]


def test_a_client_that_does_not_read_gets_no_qos_0_and_its_qos_1_later() -> None:
    sent = Sent()
    sent.box.blocked = True
    sent.box.put(sent.message(b"0"), 0)
    sent.box.put(sent.message(b"1"), 1)
    assert sent.packets == []
    assert sent.tally.slow == 1
    sent.box.blocked = False
    sent.box.pump()
    assert sent.payloads == [b"1"]


def test_an_expired_message_is_not_sent_and_the_rest_of_its_time_is_told() -> None:
    sent = Sent(window=1)
    sent.box.put(sent.message(b"1"), 1)
    sent.box.put(sent.message(b"2", expiry=10), 1)
    sent.box.put(sent.message(b"3", expiry=100), 1)
    sent.clock.now += 30
    sent.box.acknowledged(1)
    assert sent.payloads == [b"1", b"3"]
    assert sent.tally.expired == 1
    last = sent.packets[-1]
    assert isinstance(last, Publish)
    assert last.properties.message_expiry_interval == 70


def test_what_is_too_large_for_the_client_is_not_sent() -> None:
    sent = Sent(packet_limit=100)
    sent.box.put(sent.message(b"x" * 200), 1)
    sent.box.put(sent.message(b"small"), 1)
    assert sent.payloads == [b"small"]
    assert sent.tally.too_large == 1
    assert sent.box.in_flight == 1


def test_the_sender_s_topic_alias_is_not_handed_on_and_subscription_ids_are() -> None:
    sent = Sent()
    sent.box.put(sent.message(alias=3), 0, (7, 9))
    sent.box.put(sent.message(alias=3), 0)
    first, second = sent.packets
    assert isinstance(first, Publish)
    assert isinstance(second, Publish)
    assert first.properties == Properties(subscription_identifiers=(7, 9))
    assert second.properties == Properties()


def test_version_4_gets_no_properties() -> None:
    sent = Sent(version=4)
    sent.box.put(sent.message(b"x", expiry=5), 1, (7,))
    assert sent.packets == [Publish("t", b"x", 2, 1)]
