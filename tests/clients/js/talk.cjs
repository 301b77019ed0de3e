// A device that speaks through MQTT.js, as the library's users write it: its own reconnecting, its own store.
// In: one argument, JSON (see tests/clients/kit.py). Out: a line an event.
const fs = require("node:fs");
const mqtt = require("mqtt");

const job = JSON.parse(process.argv[2]);
const options = {
  clientId: job.id, protocolVersion: job.version, clean: job.clean, reconnectPeriod: 100, keepalive: 30,
  properties: job.version === 5 && !job.clean ? { sessionExpiryInterval: 3600 } : undefined,
};
if (job.ca) {
  Object.assign(options, { ca: fs.readFileSync(job.ca), cert: fs.readFileSync(job.cert), key: fs.readFileSync(job.key) });
}
const client = mqtt.connect(job.url, options);
const waiting = [];
let heard = 0, begun = false;
const said = (...words) => console.log(...words);
const failed = (error) => { said("failed", String(error)); process.exit(1); };
client.on("error", (error) => { if (error.code === undefined || typeof error.code === "number") failed(error); });
client.on("message", (_topic, payload) => { heard += 1; said("heard", payload.toString()); waiting.forEach((look) => look()); });

const until = (so) => new Promise((resolve) => {
  const look = () => { if (so()) resolve(); };
  waiting.push(look);
  look();
});

async function talk() {
  if (job.listen) await client.subscribeAsync(job.listen, { qos: 1 });
  said("ready");
  const sent = [];
  for (let number = 0; number < job.count; number += 1) {
    sent.push(client.publishAsync(job.topic, `{"seq":${number},"fields":{"n":${number}}}`, { qos: 1 }));
    if (number === Math.floor(job.count / 2)) said("half");
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  await Promise.all(sent);
  await until(() => heard >= job.expect);
  await client.endAsync();
  said("done");
}
client.on("connect", () => { if (!begun) { begun = true; talk().catch(failed); } });
