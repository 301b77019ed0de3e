"""A device that speaks through aiomqtt, which leaves reconnecting to its user. In: one argument, JSON. Out: lines."""

import asyncio
import json
import ssl
import sys
from typing import Any
from urllib.parse import urlsplit

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

job = json.loads(sys.argv[1])
url = urlsplit(job["url"])
five = job["version"] == 5


def client() -> aiomqtt.Client:
    secure = None
    if job["ca"]:
        secure = ssl.create_default_context(cafile=job["ca"])
        secure.load_cert_chain(job["cert"], job["key"])
    more: dict[str, Any] = {"clean_session": job["clean"]}
    if five:
        given = Properties(PacketTypes.CONNECT)
        given.SessionExpiryInterval = 0 if job["clean"] else 3600
        more = {"clean_start": job["clean"], "properties": given}
    websockets = url.scheme in {"ws", "wss"}
    return aiomqtt.Client(
        url.hostname or "", url.port or 0, identifier=job["id"], tls_context=secure,
        protocol=aiomqtt.ProtocolVersion.V5 if five else aiomqtt.ProtocolVersion.V311,
        transport="websockets" if websockets else "tcp", websocket_path=url.path if websockets else None, **more,
    )  # fmt: skip


async def main() -> None:
    number, heard, begun = 0, 0, False
    while number < job["count"] or heard < job["expect"] or not begun:
        try:
            async with client() as connected:
                if job["listen"]:
                    await connected.subscribe(job["listen"], qos=1)
                if not begun:
                    print("ready", flush=True)
                    begun = True
                while number < job["count"]:
                    await connected.publish(job["topic"], json.dumps({"seq": number, "fields": {"n": number}}), qos=1)
                    number += 1
                    if number == job["count"] // 2:
                        print("half", flush=True)
                if heard < job["expect"]:
                    async for message in connected.messages:
                        heard += 1
                        assert isinstance(message.payload, bytes)
                        print("heard", message.payload.decode(), flush=True)
                        if heard >= job["expect"]:
                            break
        except aiomqtt.MqttError as error:
            print("again", error, flush=True)
            await asyncio.sleep(0.1)
    print("done", flush=True)


asyncio.run(asyncio.wait_for(main(), 60))
