"""Devices that send until everything is acknowledged, whatever happens to the other end: MQTT QoS 1 and HTTP.

Written on bare sockets from the standards, so that nothing of the code under test is needed to test it. Each sender is a
thread and keeps its messages in order: what is not acknowledged is sent again, from the oldest, with the same ids.
"""

import http.client
import json
import socket
import struct
import threading
import time
from collections import Counter, deque
from typing import Any

Sent = dict[str, Any]
"""A native message with `device` and `id`."""

_GIVE_UP = 300.0


class Sender(threading.Thread):
    """`acknowledged`: (device, id) of every message whose acknowledgement has been read.

    `refused`: what the other end gave as the reason when it asked to send again, by HTTP status or MQTT 5 reason code.
    """

    def __init__(self, messages: list[Sent], port: int) -> None:
        super().__init__(daemon=True)
        self.port = port
        self.acknowledged: set[tuple[str, str]] = set()
        self.waiting = deque(messages)
        self.halted = False
        self.tries = 0
        self.refused: Counter[int] = Counter()
        self.error: str | None = None

    def halt(self) -> list[Sent]:
        """Stop sending; what is not acknowledged, in order."""
        self.halted = True
        self.join(60)
        return list(self.waiting)

    def run(self) -> None:
        waiting = self.waiting
        deadline = time.monotonic() + _GIVE_UP
        while waiting and not self.halted:
            if time.monotonic() > deadline:
                self.error = f"{len(waiting)} messages not acknowledged in {_GIVE_UP} s"
                return
            self.tries += 1
            try:
                self.session(waiting)
            except (OSError, http.client.HTTPException, _Again):
                time.sleep(0.05)
            except Exception as error:
                self.error = repr(error)
                raise

    def session(self, waiting: deque[Sent]) -> None:
        raise NotImplementedError

    def note(self, message: Sent) -> None:
        self.acknowledged.add((message["device"], message["id"]))


_UNAVAILABLE = 0x88
"""CONNACK: the log cannot be asked who else has the session."""


class _Again(Exception):
    """The other end asks to send again."""


class HttpSender(Sender):
    """NDJSON bodies of `batch` messages, or single objects with `batch` 1, over a kept-alive connection."""

    def __init__(self, messages: list[Sent], port: int, batch: int) -> None:
        super().__init__(messages, port)
        self.batch = batch

    def session(self, waiting: deque[Sent]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            while waiting and not self.halted:
                batch = [waiting[i] for i in range(min(self.batch, len(waiting)))]
                body = "\n".join(json.dumps(message) for message in batch).encode()
                kind = "application/x-ndjson" if self.batch > 1 else "application/json"
                connection.request("POST", "/ingest", body, {"Content-Type": kind})
                reply = connection.getresponse()
                answer = reply.read()
                if reply.status == 503:
                    assert int(reply.headers["Retry-After"]) > 0
                    self.refused[503] += 1
                    raise _Again
                assert reply.status == 202, (reply.status, answer)
                assert json.loads(answer) == {"accepted": len(batch), "rejected": []}, answer
                for message in batch:
                    self.note(message)
                    waiting.popleft()
        finally:
            connection.close()


class MqttSender(Sender):
    """One MQTT connection, up to `window` QoS 1 messages in flight; a gateway may send for several devices.

    `version`: 4 is MQTT 3.1.1, 5 is 5.
    """

    def __init__(self, messages: list[Sent], port: int, client: str, window: int = 50, version: int = 4) -> None:
        super().__init__(messages, port)
        self.client = client
        self.window = window
        self.version = bytes([version])
        self.properties = b"\x00" if version == 5 else b""

    def session(self, waiting: deque[Sent]) -> None:
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as peer:
            peer.sendall(
                _packet(0x10, b"\x00\x04MQTT" + self.version + b"\x02\x00\x3c" + self.properties + _text(self.client))
            )
            buffer = b""
            connected = False
            in_flight: deque[tuple[int, Sent]] = deque()
            following = 0
            while (waiting or in_flight) and not self.halted:
                out = b""
                while connected and len(in_flight) < self.window and following < len(waiting):
                    message = waiting[following]
                    identifier = (in_flight[-1][0] % 65_535 + 1) if in_flight else 1
                    body = json.dumps(message).encode()
                    topic = _text(f"devices/{message['device']}/telemetry")
                    out += _packet(0x32, topic + struct.pack(">H", identifier) + self.properties + body)
                    in_flight.append((identifier, message))
                    following += 1
                if out:
                    peer.sendall(out)
                received = peer.recv(65_536)
                if not received:
                    raise _Again
                buffer += received
                while len(buffer) >= 2 and len(buffer) >= 2 + buffer[1]:
                    packet, buffer = buffer[: 2 + buffer[1]], buffer[2 + buffer[1] :]
                    if packet[0] == 0x20:
                        if packet[3] == _UNAVAILABLE:
                            self.refused[packet[3]] += 1
                            raise _Again
                        assert packet[3] == 0, packet
                        connected = True
                    elif packet[0] == 0x40:
                        (identifier,) = struct.unpack(">H", packet[2:4])
                        expected, message = in_flight.popleft()
                        assert identifier == expected, "acknowledged out of order"
                        self.note(message)
                        waiting.popleft()
                        following -= 1
                    elif packet[0] == 0xE0:
                        self.refused[packet[2]] += 1
                        raise _Again


def _text(value: str) -> bytes:
    data = value.encode()
    return struct.pack(">H", len(data)) + data


def _packet(first: int, body: bytes) -> bytes:
    length = len(body)
    encoded = b""
    while True:
        length, low = divmod(length, 128)
        encoded += bytes([low | (0x80 if length else 0)])
        if not length:
            return bytes([first]) + encoded + body
