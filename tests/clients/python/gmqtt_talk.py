"""A device that speaks through gmqtt, which reconnects by itself. In: one argument, JSON. Out: a line an event."""

import asyncio
import json
import ssl
import sys
from typing import Any
from urllib.parse import urlsplit

import gmqtt
from gmqtt.mqtt.constants import MQTTv50, MQTTv311

job = json.loads(sys.argv[1])
url = urlsplit(job["url"])


async def main() -> None:
    more: dict[str, Any] = {} if job["clean"] or job["version"] == 4 else {"session_expiry_interval": 3600}
    client = gmqtt.Client(job["id"], clean_session=job["clean"], **more)
    ready, enough = asyncio.Event(), asyncio.Event()
    heard: list[str] = []

    def on_connect(client: gmqtt.Client, *_: object) -> None:
        if job["listen"]:
            client.subscribe(job["listen"], qos=1)
        else:
            ready.set()

    def on_subscribe(*_: object) -> None:
        ready.set()

    async def on_message(_client: object, _topic: str, payload: bytes, *_: object) -> int:
        heard.append(payload.decode())
        print("heard", heard[-1], flush=True)
        if len(heard) >= job["expect"]:
            enough.set()
        return 0

    client.on_connect = on_connect
    client.on_subscribe = on_subscribe
    client.on_message = on_message
    client.set_config({"reconnect_delay": 0.1, "reconnect_retries": -1})
    secure: Any = False
    if job["ca"]:
        secure = ssl.create_default_context(cafile=job["ca"])
        secure.load_cert_chain(job["cert"], job["key"])
    await client.connect(url.hostname, url.port, ssl=secure, version=MQTTv50 if job["version"] == 5 else MQTTv311)
    await ready.wait()
    print("ready", flush=True)
    for number in range(job["count"]):
        client.publish(job["topic"], {"seq": number, "fields": {"n": number}}, qos=1)
        if number == job["count"] // 2:
            print("half", flush=True)
        await asyncio.sleep(0.002)
    while not client._persistent_storage.is_empty:  # pyright: ignore[reportPrivateUsage]  # there is no public word for it
        await asyncio.sleep(0.01)
    if job["expect"]:
        await enough.wait()
    await client.disconnect()
    print("done", flush=True)


asyncio.run(asyncio.wait_for(main(), 60))
