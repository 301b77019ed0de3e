"""A device on paho, for tests that command it from outside."""

import json
import queue
from collections.abc import Callable
from typing import Any, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

SECONDS = 30.0


class Pump:
    """A device: answers each command by what `answer` makes of it; None: it does not answer."""

    def __init__(
        self, port: int, name: str, version: int = 5, answer: Callable[[Any], object | None] = lambda _: None
    ) -> None:
        self.name = name
        self.heard: queue.Queue[tuple[str, Any]] = queue.Queue()
        self._ready: queue.Queue[object] = queue.Queue()
        self._answer = answer
        protocol = MQTTProtocolVersion.MQTTv5 if version == 5 else MQTTProtocolVersion.MQTTv311
        self._client = client = paho.Client(CallbackAPIVersion.VERSION2, f"client-{name}", protocol=protocol)
        client.username_pw_set(name)
        client.on_connect = self._connected
        client.on_subscribe = self._subscribed
        client.on_message = self._message
        client.connect("127.0.0.1", port)
        client.loop_start()
        self._ready.get(timeout=SECONDS)

    def _connected(self, client: paho.Client, *_: object) -> None:
        client.subscribe([(f"devices/{self.name}/{what}", 1) for what in ("commands/+", "shadow/#")])

    def _subscribed(self, *_: object) -> None:
        self._ready.put(None)

    def _message(self, client: paho.Client, _: object, message: paho.MQTTMessage) -> None:
        said = json.loads(message.payload)
        self.heard.put((message.topic, said))
        answer = self._answer(said) if "/commands/" in message.topic else None
        if answer is None:
            return
        given: Properties | None = message.properties
        if given is None:
            client.publish(f"{message.topic}/reply", json.dumps(answer), 1)
        else:
            back = Properties(PacketTypes.PUBLISH)
            back.CorrelationData = given.CorrelationData  # pyright: ignore[reportAttributeAccessIssue]  made by name
            topic: str = given.ResponseTopic  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
            client.publish(topic, json.dumps(answer), 1, properties=back)

    def publish(self, topic: str, said: object) -> None:
        sent = self._client.publish(f"devices/{self.name}/{topic}", json.dumps(said), 1)
        sent.wait_for_publish(SECONDS)
        assert sent.is_published()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()
