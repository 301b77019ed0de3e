"""Devices with credentials of their own. In: numbers. Out: a message a number, acknowledged by HTTP or MQTT."""

import json

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from tests.compose.containers import ask, compose

DEVICES = 6


def message(number: int) -> dict[str, object]:
    """Each is selected: its text differs from the one before."""
    return {"device": f"pump-{number % DEVICES}", "id": f"m{number}", "fields": {"n": number, "word": f"w{number}"}}


class Sender:
    """Registers its devices first."""

    def __init__(self) -> None:
        self._tokens = [
            compose("exec", "-T", "api", "headwater", "devices", "add", f"pump-{number}").strip()
            for number in range(DEVICES)
        ]

    def by_http(self, url: str, numbers: range) -> None:
        for number, token in enumerate(self._tokens):
            mine = [message(n) for n in numbers if n % DEVICES == number]
            body = "\n".join(map(json.dumps, mine)).encode()
            status, text = ask(f"{url}/ingest", token, body, "application/x-ndjson")
            assert (status, json.loads(text)) == (202, {"accepted": len(mine), "rejected": []}), text

    def by_mqtt(self, port: int, numbers: range) -> None:
        for number, token in enumerate(self._tokens):
            client = paho.Client(CallbackAPIVersion.VERSION2, client_id=f"pump-{number}")
            client.username_pw_set(f"pump-{number}", token)
            client.connect("127.0.0.1", port)
            client.loop_start()
            sent = [
                client.publish(f"devices/pump-{number}/telemetry", json.dumps(message(n)), qos=1)
                for n in numbers
                if n % DEVICES == number
            ]
            for one in sent:
                one.wait_for_publish(30)
                assert one.is_published()
            client.disconnect()
            client.loop_stop()
