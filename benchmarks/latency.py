"""End-to-end latency of the whole program as a process: publish → PUBACK, → live stream, → live state.

Run: python -m benchmarks.latency [messages] [per second]. One MQTT connection at a steady rate; each is seen by
a live stream, and every tenth is asked for by `latest` until it is there. The generator runs in this process.
"""

import json
import socket
import struct
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

from benchmarks.measure import Result, measure, report
from tests.system.program import Program

MOST_SECONDS = 120.0


def _text(value: str) -> bytes:
    data = value.encode()
    return struct.pack(">H", len(data)) + data


def _packet(first: int, body: bytes) -> bytes:
    assert len(body) < 16_384
    length = bytes([len(body)]) if len(body) < 128 else bytes([len(body) % 128 | 0x80, len(body) // 128])
    return bytes([first]) + length + body


class Run:
    """Sends `count` messages at `rate` a second and notes when each was acknowledged, streamed, and live."""

    def __init__(self, program: Program, count: int, rate: float) -> None:
        self.program = program
        self.count = count
        self.rate = rate
        self.sent = [0.0] * count
        self.acknowledged = [0.0] * count
        self.streamed = [0.0] * count
        self.live: list[float] = []
        self.streaming = threading.Event()

    def publish(self) -> None:
        with socket.create_connection(("127.0.0.1", self.program.mqtt), timeout=30) as peer:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer.sendall(_packet(0x10, b"\x00\x04MQTT\x04\x02\x00\x00" + _text("bench")))
            assert peer.recv(4)[3] == 0
            reader = threading.Thread(target=self._acknowledgements, args=(peer,))
            reader.start()
            began = time.perf_counter()
            for number in range(self.count):
                pause = began + number / self.rate - time.perf_counter()
                if pause > 0:
                    time.sleep(pause)
                body = json.dumps({"seq": number, "fields": {"number": number, "temperature": 21.5}}).encode()
                packet = _packet(0x32, _text("devices/bench/telemetry") + struct.pack(">H", number % 65_535 + 1) + body)
                self.sent[number] = time.perf_counter()
                peer.sendall(packet)
            reader.join(MOST_SECONDS)

    def _acknowledgements(self, peer: socket.socket) -> None:
        buffer = b""
        number = 0
        while number < self.count:
            buffer += peer.recv(65_536)
            now = time.perf_counter()
            while len(buffer) >= 4:
                self.acknowledged[number] = now
                number += 1
                buffer = buffer[4:]

    def stream(self) -> None:
        with urllib.request.urlopen(f"{self.program.url}/api/v1/stream?device=bench", timeout=MOST_SECONDS) as events:
            self.streaming.set()
            left = self.count
            while left:
                line = events.readline()
                if line.startswith(b"data:"):
                    self.streamed[json.loads(line[5:])["fields"]["number"]] = time.perf_counter()
                    left -= 1

    def ask(self) -> None:
        for number in range(0, self.count, 10):
            while not self.sent[number]:
                time.sleep(0.0005)
            while self.program.get("/api/v1/devices/bench/latest")["fields"]["number"]["value"] < number:
                time.sleep(0.0005)
            self.live.append(time.perf_counter() - self.sent[number])


def main(count: int, rate: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        program = Program(Path(folder) / "data")
        program.start()
        try:
            program.run("send", "bench", "number=-1")
            run = Run(program, count, rate)
            threads = [threading.Thread(target=run.stream, daemon=True), threading.Thread(target=run.ask, daemon=True)]
            threads[0].start()
            run.streaming.wait(10)
            threads[1].start()
            with measure("whole program", count=count, pid=program.pid) as whole:
                run.publish()
                for thread in threads:
                    thread.join(MOST_SECONDS)
            results = [whole]
            for name, moments in (("publish → PUBACK", run.acknowledged), ("publish → stream", run.streamed)):
                latencies = [seen - sent for seen, sent in zip(moments, run.sent, strict=True)]
                results.append(Result(name, count, latencies=latencies))
            results.append(Result("publish → latest (asked in a loop)", len(run.live), latencies=run.live))
            report(results, f"one MQTT connection, {rate:g} messages/s, embedded profile, all stores")
            print("budgets: PUBACK p50 ≤ 3, p99 ≤ 8 ms; live state and stream p50 ≤ 15, p99 ≤ 50 ms")
        finally:
            program.stop()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5000, float(sys.argv[2]) if len(sys.argv) > 2 else 500.0)
