// The page: asks the API and shows what it says. Everything that came from a device is set as text, never as markup.
import { api, follow, onRefused, useToken } from "./api.js";
import { DeviceList } from "./devices.js";
import { Detail } from "./detail.js";
import { Flow } from "./flow.js";
import { Lines, clock, values } from "./lines.js";
import { Waiting } from "./waiting.js";

const byId = (id) => document.getElementById(id);
const flow = new Flow();
const detail = new Detail();
const list = new DeviceList((name) => detail.show(name));
const messages = new Lines(byId("messages"), "Nothing has arrived since this page was opened.");
const rejects = new Lines(byId("rejects"), "Nothing was rejected.");
const waiting = new Waiting();

onRefused(() => { byId("login").hidden = false; });
byId("login").addEventListener("submit", (event) => {
  event.preventDefault();
  useToken(byId("token").value.trim());
  byId("login").hidden = true;
  start();
});

function state(kind, text) {
  byId("state").className = kind;
  byId("state").querySelector(".text").textContent = text;
}

async function readiness() {
  try {
    const answer = await fetch("/readyz");
    const body = await answer.json().catch(() => ({}));
    const ill = Object.entries(body.checks ?? {}).filter(([, check]) => check !== "ok").map(([name, check]) => `${name}: ${check}`);
    state(answer.ok ? "ok" : "ill", answer.ok ? "ready" : `not ready – ${ill.join("; ") || answer.status}`);
  } catch {
    state("ill", "nothing answers; trying again");
  }
}

let lastReject = "";
async function rejectedNow() {
  const page = await api("/rejected?limit=50");
  if (!page || page.items.length === 0 || page.items[0].id === lastReject) return;
  lastReject = page.items[0].id;
  waiting.refresh();
  rejects.replace(page.items.map((item) => [clock(item.received), item.reason, `${item.device || item.topic || item.transport || ""} ${item.detail}`]));
}

let lastRejected = -1;
async function flowNow() {
  const now = await api("/flow");
  if (!now) return;
  flow.show(now);
  byId("rejected-reasons").textContent = Object.entries(now.rejected_by_reason ?? {}).map(([reason, count]) => `${reason} ${count}`).join(" · ");
  if (now.rejected !== lastRejected) { lastRejected = now.rejected; await rejectedNow(); }
}

function every(seconds, work) {
  let timer = 0;
  let stopped = false;
  const round = async () => {
    if (!document.hidden) await work().catch(() => {});
    if (!stopped) timer = setTimeout(round, seconds * 1000);
  };
  round();
  return () => { stopped = true; clearTimeout(timer); };
}

// A sample where more comes than anyone can read: what is in sight is asked for besides, so its values are never old.
const SHOWN_A_SECOND = 50;
let unseen = 0;

function stream(event, data) {
  if (event === "message") {
    list.note(data);
    detail.note(data);
    if (!byId("pause").checked) messages.add([clock(data.time), data.device, values(data)]);
  } else {
    unseen += data.skipped ?? data.dropped ?? 0;
    byId("arriving-note").textContent = `a sample: ${unseen.toLocaleString("en")} more came`;
  }
}

// A tab that nobody looks at holds no line open: browsers allow few to one server.
function whileSeen(open) {
  let close = null;
  const look = () => {
    if (document.hidden) { close?.(); close = null; } else { close ??= open(); }
  };
  document.addEventListener("visibilitychange", look);
  look();
  return () => { document.removeEventListener("visibilitychange", look); close?.(); };
}

let stops = [];
function start() {
  stops.forEach((stop) => stop());
  stops = [
    every(5, readiness),
    every(1, flowNow),
    every(60, () => list.refresh()),
    every(2, () => list.refreshSeen()),
    every(2, () => detail.refresh()),
    whileSeen(() => follow(`/stream?rate=${SHOWN_A_SECOND}`, stream)),
  ];
}
start();
