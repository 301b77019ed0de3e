"""A device that speaks through paho, as the library's users write it. In: one argument, JSON. Out: a line an event."""

import json
import sys
import threading
import time
from typing import Any
from urllib.parse import urlsplit

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

job = json.loads(sys.argv[1])
url = urlsplit(job["url"])
five = job["version"] == 5
heard: list[str] = []
acknowledged: set[int] = set()
ready, enough = threading.Event(), threading.Event()


def on_connect(client: paho.Client, _data: object, _flags: object, code: ReasonCode, _given: object) -> None:
    if code.is_failure:
        print("failed", code, flush=True)
    if job["listen"]:
        client.subscribe(job["listen"], 1)
    else:
        ready.set()


def on_subscribe(*_: object) -> None:
    ready.set()


def on_message(_client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
    heard.append(message.payload.decode())
    print("heard", heard[-1], flush=True)
    if len(heard) >= job["expect"]:
        enough.set()


def on_publish(_client: paho.Client, _data: object, number: int, *_: object) -> None:
    acknowledged.add(number)


transport = "websockets" if url.scheme in {"ws", "wss"} else "tcp"
protocol = MQTTProtocolVersion.MQTTv5 if five else MQTTProtocolVersion.MQTTv311
session: dict[str, Any] = {} if five else {"clean_session": job["clean"]}
client = paho.Client(CallbackAPIVersion.VERSION2, job["id"], protocol=protocol, transport=transport, **session)
client.on_connect, client.on_subscribe, client.on_message = on_connect, on_subscribe, on_message
client.on_publish = on_publish
client.reconnect_delay_set(1, 1)
client.max_inflight_messages_set(20)
if job["ca"]:
    client.tls_set(job["ca"], job["cert"], job["key"])
if transport == "websockets":
    client.ws_set_options(path=url.path)
more: dict[str, Any] = {}
if five:
    more["clean_start"] = job["clean"]
    more["properties"] = Properties(PacketTypes.CONNECT)
    more["properties"].SessionExpiryInterval = 0 if job["clean"] else 3600
client.connect(url.hostname or "", url.port or 0, **more)
client.loop_start()
assert ready.wait(30)
print("ready", flush=True)
for number in range(job["count"]):
    client.publish(job["topic"], json.dumps({"seq": number, "fields": {"n": number}}), qos=1)
    if number == job["count"] // 2:
        print("half", flush=True)
    time.sleep(0.002)
while len(acknowledged) < job["count"]:
    time.sleep(0.01)
if job["expect"]:
    assert enough.wait(60)
client.disconnect()
client.loop_stop()
print("done", flush=True)
