// One device: newest values, the history of a field as a line, who heard it, and its candidate records.
import { api } from "./api.js";
import { Lines, ago, clock, element, number } from "./lines.js";

const POINTS = 2000;
const WIDTH = 600;
const HEIGHT = 220;
const SVG = "http://www.w3.org/2000/svg";
const byId = (id) => document.getElementById(id);

export class Detail {
  constructor() {
    this.name = "";
    this.heard = new Map();
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
    for (const heard of message.heard_by ?? []) this.heard.set(heard.gateway, heard.rssi);
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
    const about = [`seen ${ago(latest.seen)}`];
    if (latest.via) about.push(`through ${latest.via}`);
    if (latest.position) about.push(`at ${latest.position.lat.toFixed(6)}, ${latest.position.lon.toFixed(6)}`);
    byId("detail-about").textContent = about.join(" · ");
    for (const heard of latest.heard_by ?? []) if (!this.heard.has(heard.gateway)) this.heard.set(heard.gateway, heard.rssi);
    const rows = Object.entries({ ...latest.fields, ...latest.texts }).sort(([a], [b]) => a.localeCompare(b)).map(([field, is]) => {
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
    const strongest = [...this.heard].sort((a, b) => (b[1] ?? -999) - (a[1] ?? -999));
    byId("detail-heard").replaceChildren(...strongest.map(([gateway, rssi]) => element("span", `${gateway} ${rssi ?? "?"} dBm`)));
  }

  async draw() {
    const field = byId("chart-field").value;
    const chart = byId("chart");
    if (!field) { chart.replaceChildren(); byId("chart-note").textContent = "has no numbers"; return; }
    const page = await api(`/devices/${encodeURIComponent(this.name)}/history?field=${encodeURIComponent(field)}&limit=${POINTS}`);
    if (!page) return;
    const points = page.items.map((item) => [new Date(item.time).getTime(), Number(item.fields?.[field])]).filter(([, value]) => Number.isFinite(value)).sort((a, b) => a[0] - b[0]);
    if (points.length === 0) { chart.replaceChildren(); return; }
    const [low, high] = [Math.min(...points.map((p) => p[1])), Math.max(...points.map((p) => p[1]))];
    const [from, to] = [points[0][0], points.at(-1)[0]];
    const x = (time) => ((time - from) / Math.max(1, to - from)) * (WIDTH - 12) + 6;
    const y = (value) => HEIGHT - 12 - ((value - low) / (high - low || 1)) * (HEIGHT - 24);
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", points.map(([time, value], index) => `${index ? "L" : "M"}${x(time).toFixed(1)} ${y(value).toFixed(1)}`).join(""));
    const grid = [0.25, 0.5, 0.75].map((share) => {
      const line = document.createElementNS(SVG, "line");
      for (const [key, value] of Object.entries({ x1: 0, x2: WIDTH, y1: HEIGHT * share, y2: HEIGHT * share })) line.setAttribute(key, value);
      return line;
    });
    chart.replaceChildren(...grid, path);
    byId("chart-note").textContent = `${number(low)} to ${number(high)}, ${points.length} messages`;
    byId("chart-axis").replaceChildren(element("span", clock(page.items.at(-1).time)), element("span", clock(page.items[0].time)));
  }
}
