// The flow as a moving picture: counts and rates a stage, lines that run as fast as messages do.
import { element } from "./lines.js";

const SVG = "http://www.w3.org/2000/svg";
const byId = (id) => document.getElementById(id);
const count = (value) => Number(value ?? 0).toLocaleString("en").replaceAll(",", "\u202f");

function rate(perSecond) {
  if (perSecond <= 0) return "";
  return perSecond >= 10 ? `${count(Math.round(perSecond))} a second` : `${perSecond.toFixed(1)} a second`;
}

export class Flow {
  constructor() {
    this.before = null;
    this.stores = new Map();
    addEventListener("resize", () => this.lines());
  }

  show(now) {
    const at = performance.now() / 1000;
    const past = this.before;
    const speed = (pick) => (past ? Math.max(0, (pick(now) - pick(past.now)) / (at - past.at)) : 0);
    this.speeds = {
      received: speed((flow) => flow.received), log: speed((flow) => flow.accepted), selected: speed((flow) => flow.selected),
      rejected: speed((flow) => flow.rejected), duplicate: speed((flow) => flow.duplicate),
    };
    this.stage("received", now.received, rate(this.speeds.received) || "at the front door");
    this.stage("log", now.accepted, now.waiting ? `${count(now.waiting)} waiting` : rate(this.speeds.log) || "accepted, durable");
    this.stage("selected", now.selected, rate(this.speeds.selected) || "candidate records");
    this.stage("rejected", now.rejected, rate(this.speeds.rejected) || "kept, with the reason");
    this.stage("duplicate", now.duplicate, rate(this.speeds.duplicate) || "recognised as sent before");
    byId("stage-rejected").classList.toggle("active", now.rejected > 0);
    for (const [name, store] of Object.entries(now.stores ?? {})) {
      const pace = speed((flow) => flow.stores?.[name]?.written ?? 0);
      this.speeds[name] = pace;
      this.store(name, store, pace);
    }
    this.before = { now, at };
    this.lines();
  }

  stage(name, value, note) {
    const box = byId(`stage-${name}`);
    box.querySelector("output").textContent = count(value);
    box.querySelector("small").textContent = note;
  }

  store(name, store, pace) {
    let box = this.stores.get(name);
    if (!box) {
      box = element("div", undefined, "store");
      box.append(element("h3", name), element("output"), element("small"));
      byId("stores").append(box);
      this.stores.set(name, box);
    }
    box.querySelector("output").textContent = count(store.written);
    const notes = [store.waiting ? `${count(store.waiting)} waiting` : "", rate(pace)].filter(Boolean);
    const ill = store.state && store.state !== "running";
    box.classList.toggle("ill", Boolean(ill));
    box.querySelector("small").textContent = ill ? `${store.state}: ${store.reason ?? ""}` : notes.join(" · ") || "up to date";
  }

  lines() {
    const svg = byId("lines");
    const frame = svg.getBoundingClientRect();
    if (!frame.width) return;
    svg.setAttribute("viewBox", `0 0 ${frame.width} ${frame.height}`);
    const box = (target) => target.getBoundingClientRect();
    const links = [["received", "log", "log"], ["log", "selected", "selected"], ["received", "rejected", "rejected"], ["received", "duplicate", "duplicate"]]
      .map(([from, to, speed]) => [byId(`stage-${from}`), byId(`stage-${to}`), speed]);
    const sources = { candidates: "stage-selected", rejected: "stage-rejected" };
    for (const [name, target] of this.stores) {
      const source = sources[name.split(".")[1]] ?? "stage-log";
      if (source !== "stage-rejected") links.push([byId(source), target, name]);
    }
    svg.replaceChildren(...links.flatMap(([from, to, speed]) => this.link(box(from), box(to), frame, speed)));
  }

  link(from, to, frame, speed) {
    const below = to.top > from.bottom && Math.abs(to.left - from.left) < 8;
    const start = below ? [from.left + from.width / 2, from.bottom] : [from.right, from.top + from.height / 2];
    const end = below ? [to.left + to.width / 2, to.top] : [to.left, to.top + to.height / 2];
    const [x1, y1, x2, y2] = [start[0] - frame.left, start[1] - frame.top, end[0] - frame.left, end[1] - frame.top];
    const bend = (x2 - x1) / 2;
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", below ? `M${x1} ${y1}L${x2} ${y2}` : `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`);
    const pace = this.speeds?.[speed] ?? 0;
    if (pace > 0) {
      path.setAttribute("class", speed === "rejected" ? "moving bad" : "moving");
      path.style.setProperty("--pace", `${Math.max(0.25, 1.6 - Math.log10(1 + pace) / 2.5).toFixed(2)}s`);
    }
    return [path];
  }
}
