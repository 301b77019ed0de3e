"""A paho client that notes what it hears, for tests that talk to gateways as processes."""

import queue
import time
from typing import Any, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

SECONDS = 30.0


class Heard:
    """A client whose session lasts an hour, or is clean. `present`: there was a session. `ended`: reason codes."""

    def __init__(self, port: int, name: str, *, version: int = 5, clean: bool = False, will: str = "") -> None:
        self.messages: queue.Queue[str] = queue.Queue()
        self.ended: queue.Queue[str] = queue.Queue()
        self._answers: queue.Queue[Any] = queue.Queue()
        protocol = MQTTProtocolVersion.MQTTv5 if version == 5 else MQTTProtocolVersion.MQTTv311
        more: dict[str, Any] = {} if version == 5 else {"clean_session": clean}
        self._client = client = paho.Client(
            CallbackAPIVersion.VERSION2, name, protocol=protocol, reconnect_on_failure=False, **more
        )
        client.on_connect = lambda _client, _data, flags, _code, _given: self._answers.put(flags.session_present)
        client.on_subscribe = lambda _client, _data, _id, codes, _given: self._answers.put(codes)
        client.on_message = lambda _client, _data, message: self.messages.put(message.payload.decode())
        client.on_disconnect = lambda _client, _data, _flags, code, _given: self.ended.put(str(code))
        if will:
            client.will_set("devices/will/telemetry", will, qos=1)
        if version == 5:
            given = Properties(PacketTypes.CONNECT)
            given.SessionExpiryInterval = 0 if clean else 3600
            client.connect("127.0.0.1", port, clean_start=clean, properties=given)
        else:
            client.connect("127.0.0.1", port)
        client.loop_start()
        self.present: bool = self._answers.get(timeout=SECONDS)

    def subscribe(self, *filters: str) -> None:
        self._client.subscribe([(one, 1) for one in filters])
        self._answers.get(timeout=SECONDS)

    def publish(self, topic: str, *payloads: str, retain: bool = False) -> None:
        """Acknowledged on return."""
        for sent in [self._client.publish(topic, payload, 1, retain) for payload in payloads]:
            sent.wait_for_publish(SECONDS)
            assert sent.is_published()

    def hear(self, count: int) -> list[str]:
        """The next messages."""
        return [self.messages.get(timeout=SECONDS) for _ in range(count)]

    def nothing(self, seconds: float = 0.5) -> None:
        """Nothing comes for a while."""
        time.sleep(seconds)
        assert self.messages.empty(), self.messages.get()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
