// The device list: all names are held, only the rows in sight are drawn. Live values come with the stream.
import { api } from "./api.js";
import { ago, element, values } from "./lines.js";

const ROW = 44;
const PAGE = 1000;
const MOST = 20000;

export class DeviceList {
  constructor(choose) {
    this.box = document.getElementById("device-list");
    this.space = document.getElementById("device-space");
    this.search = document.getElementById("search");
    this.count = document.getElementById("device-count");
    this.known = new Map();
    this.names = [];
    this.chosen = "";
    this.choose = choose;
    this.drawing = false;
    this.box.addEventListener("scroll", () => this.soon());
    this.box.addEventListener("keydown", (event) => this.key(event));
    this.search.addEventListener("input", () => { this.box.scrollTop = 0; this.filter(); });
    addEventListener("resize", () => this.soon());
  }

  async refresh() {
    let after = "";
    for (let taken = 0; taken < MOST; taken += PAGE) {
      const page = await api(`/devices?limit=${PAGE}&after=${encodeURIComponent(after)}`);
      if (!page) return;
      for (const device of page.items) this.known.set(device.device, this.row(device));
      if (page.items.length < PAGE) break;
      after = page.items.at(-1).device;
    }
    this.filter();
  }

  row(device) {
    return { seen: device.seen, text: values({ fields: device.fields, texts: device.texts, position: device.position }) };
  }

  note(message) {
    const isNew = !this.known.has(message.device);
    const before = this.known.get(message.device);
    if (!before || message.received >= before.seen) this.known.set(message.device, { seen: message.received, text: values({ ...message, via: "" }) });
    if (isNew) this.filter(); else this.soon();
  }

  filter() {
    const start = this.search.value.trim();
    this.names = [...this.known.keys()].filter((name) => name.startsWith(start)).sort();
    this.count.textContent = start ? `${this.names.length} of ${this.known.size}` : String(this.known.size);
    this.space.style.height = `${this.names.length * ROW}px`;
    this.soon();
  }

  soon() {
    if (this.drawing) return;
    this.drawing = true;
    requestAnimationFrame(() => { this.drawing = false; this.draw(); });
  }

  draw() {
    const first = Math.max(0, Math.floor(this.box.scrollTop / ROW) - 3);
    const last = Math.min(this.names.length, first + Math.ceil(this.box.clientHeight / ROW) + 6);
    const rows = [];
    for (let index = first; index < last; index += 1) rows.push(this.draw_row(this.names[index], index));
    this.space.replaceChildren(...rows);
    if (this.names.length === 0) this.space.replaceChildren(element("p", this.known.size ? "No device begins like that." : "No device has sent anything yet.", "quiet"));
  }

  draw_row(name, index) {
    const { seen, text } = this.known.get(name);
    const row = element("div", undefined, Date.now() - new Date(seen) < 3000 ? "device fresh" : "device");
    row.style.top = `${index * ROW}px`;
    row.setAttribute("role", "option");
    row.setAttribute("aria-selected", String(name === this.chosen));
    row.append(element("b", name), element("i", ago(seen)), element("span", text));
    row.addEventListener("click", () => this.take(name));
    return row;
  }

  take(name) {
    this.chosen = name;
    this.soon();
    this.choose(name);
  }

  key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || this.names.length === 0) return;
    event.preventDefault();
    const at = Math.min(this.names.length - 1, Math.max(0, this.names.indexOf(this.chosen) + step));
    this.box.scrollTop = Math.min(this.box.scrollTop, at * ROW);
    this.box.scrollTop = Math.max(this.box.scrollTop, (at + 1) * ROW - this.box.clientHeight);
    this.take(this.names[at]);
  }
}
