// One device: newest values, the history of a field as a line, who heard it, and its candidate records.
import { api } from "./api.js";
import { Lines, ago, clock, described, element, number } from "./lines.js";

const POINTS = 1000;
const GATEWAYS = 40;
const HEARD_FOR = 300000; // milliseconds
const WIDTH = 600;
const HEIGHT = 220;
const SVG = "http://www.w3.org/2000/svg";
const byId = (id) => document.getElementById(id);

export class Detail {
  constructor() {
    this.name = "";
    this.heard = new Map(); // gateway → [RSSI, when]
    this.candidates = new Lines(byId("detail-candidates"), "None of its messages has been selected.");
    this.drawn = 0;
    byId("detail-close").addEventListener("click", () => { this.name = ""; byId("detail").hidden = true; });
    byId("chart-field").addEventListener("change", () => this.draw());
  }

  async show(name) {
    this.name = name;
    this.heard.clear();
    byId("chart-field").replaceChildren();
    byId("detail-candidates").replaceChildren();
    byId("detail").hidden = false;
    byId("detail-name").textContent = name;
    await this.refresh(true);
  }

  note(message) {
    if (message.device !== this.name) return;
    this.hear(message.heard_by, message.received);
  }

  hear(gateways, when) {
    const at = new Date(when).getTime();
    for (const { gateway, rssi } of gateways ?? []) if (!(this.heard.get(gateway)?.[1] > at)) this.heard.set(gateway, [rssi, at]);
    for (const [gateway, [, last]] of this.heard) if (last < at - HEARD_FOR) this.heard.delete(gateway);
  }

  async refresh(now) {
    const name = this.name;
    if (!name) return;
    const path = `/devices/${encodeURIComponent(name)}`;
    const latest = await api(`${path}/latest`);
    if (!latest || name !== this.name) return;
    this.values(latest);
    if (!now && Date.now() - this.drawn < 5000) return;
    this.drawn = Date.now();
    await this.draw();
    const page = await api(`${path}/candidates?limit=30`);
    if (page && name === this.name && page.items.length) this.candidates.replace(page.items.map((item) => [clock(item.time), item.rule, item.reasons.join(", ")]));
  }

  values(latest) {
    const said = { ...latest.fields, ...latest.texts };
    const known = described({ said, heard_by: [] });
    const about = [...(known.about ? [known.about] : []), `seen ${ago(latest.seen)}`, `${latest.entries.toLocaleString("en")} messages`];
    if (latest.decoder && latest.decoder !== "native") about.push(`read as ${latest.decoder}`);
    if (latest.via) about.push(`through ${latest.via}`);
    if (latest.position) about.push(`at ${latest.position.lat.toFixed(6)}, ${latest.position.lon.toFixed(6)}`);
    byId("detail-about").textContent = about.join(" · ");
    this.hear(latest.heard_by, latest.seen);
    const rows = Object.entries(said).filter(([field]) => !field.startsWith("unit.")).sort(([a], [b]) => a.localeCompare(b)).map(([field, is]) => {
      const row = element("tr");
      row.append(element("td", field), element("td", `${number(is.value)}${is.unit ? ` ${is.unit}` : ""}`, "number"), element("td", ago(is.time)));
      return row;
    });
    byId("detail-fields").tBodies[0].replaceChildren(...rows);
    const select = byId("chart-field");
    const fields = Object.keys(latest.fields).sort();
    if (fields.join() !== [...select.options].map((option) => option.value).join()) {
      const chosen = select.value;
      select.replaceChildren(...fields.map((field) => Object.assign(element("option", field), { value: field })));
      if (fields.includes(chosen)) select.value = chosen;
    }
    const strongest = [...this.heard].map(([gateway, [rssi]]) => [gateway, rssi]).sort((a, b) => (b[1] ?? -999) - (a[1] ?? -999));
    byId("detail-heard").replaceChildren(...strongest.slice(0, GATEWAYS).map(([gateway, rssi]) => element("span", `${gateway} ${rssi ?? "?"} dBm`)));
  }

  async draw() {
    const field = byId("chart-field").value;
    const chart = byId("chart");
    const label = (high, low, note) => {
      byId("chart-high").textContent = high;
      byId("chart-low").textContent = low;
      byId("chart-note").textContent = note;
    };
    if (!field) { chart.replaceChildren(); byId("chart-axis").replaceChildren(); label("", "", "has no numbers"); return; }
    const page = await api(`/devices/${encodeURIComponent(this.name)}/history?field=${encodeURIComponent(field)}&limit=${POINTS}`);
    if (!page || field !== byId("chart-field").value) return;
    const points = page.items.map((item) => [new Date(item.time).getTime(), Number(item.fields?.[field])]).filter(([, value]) => Number.isFinite(value)).sort((a, b) => a[0] - b[0]);
    if (points.length === 0) { chart.replaceChildren(); byId("chart-axis").replaceChildren(); label("", "", "no numbers yet"); return; }
    const [low, high] = [Math.min(...points.map((p) => p[1])), Math.max(...points.map((p) => p[1]))];
    const [from, to] = [points[0][0], points.at(-1)[0]];
    const x = (time) => ((time - from) / Math.max(1, to - from)) * (WIDTH - 12) + 6;
    const y = (value) => HEIGHT - 12 - ((value - low) / (high - low || 1)) * (HEIGHT - 24);
    const steps = points.slice(1).map(([time], index) => time - points[index][0]).sort((a, b) => a - b);
    const gap = Math.max((to - from) / 40, 5 * (steps[Math.floor(steps.length / 2)] ?? 0)) + 1; // nothing came: no line
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", points.map(([time, value], index) => `${index && time - points[index - 1][0] < gap ? "L" : "M"}${x(time).toFixed(1)} ${y(value).toFixed(1)}h.01`).join(""));
    const grid = [0.25, 0.5, 0.75].map((share) => {
      const line = document.createElementNS(SVG, "line");
      for (const [key, value] of Object.entries({ x1: 0, x2: WIDTH, y1: HEIGHT * share, y2: HEIGHT * share })) line.setAttribute(key, value);
      return line;
    });
    chart.replaceChildren(...grid, path);
    label(number(high), number(low), `${number(low)} to ${number(high)}, the last ${points.length} messages`);
    byId("chart-axis").replaceChildren(element("span", clock(new Date(from))), element("span", clock(new Date(to))));
  }
}
