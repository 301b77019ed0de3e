// The device list: all names are held, only the rows in sight are drawn. Live values come with the stream.
import { api } from "./api.js";
import { ago, described, element, values } from "./lines.js";

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
    this.rows = new Map();
    this.names = [];
    this.chosen = "";
    this.choose = choose;
    this.drawing = false;
    this.filtering = null;
    this.drawn = false;
    this.whole = false;
    this.first = this.last = 0;
    this.box.addEventListener("scroll", () => this.soon());
    this.box.addEventListener("keydown", (event) => this.key(event));
    this.search.addEventListener("input", () => this.find());
    addEventListener("resize", () => this.soon());
  }

  // All names, in pages; beyond MOST the rest is found by searching.
  async refresh() {
    let after = "";
    for (let taken = 0; taken < MOST; taken += PAGE) {
      const page = await this.take_in("", after, PAGE);
      if (!page) return;
      this.whole = page.next === null;
      if (this.whole) break;
      after = page.next;
    }
  }

  // The rows in sight: they stand one after the other by name, as the API gives them.
  async refreshSeen() {
    if (this.last > this.first) await this.take_in(this.beginning(), this.names[this.first - 1] ?? "", this.last - this.first);
  }

  async take_in(prefix, after, limit) {
    const page = await api(`/devices?${new URLSearchParams({ prefix, after, limit })}`);
    if (!page) return null;
    const before = this.known.size;
    for (const device of page.items) this.known.set(device.device, this.row(device));
    if (this.known.size !== before || !this.drawn) this.filter(); else this.soon();
    return page;
  }

  beginning() { return this.search.value.trim(); }

  async find() {
    this.box.scrollTop = 0;
    this.filter();
    const start = this.beginning();
    if (this.whole || !start) return;
    await new Promise((done) => setTimeout(done, 200));
    if (start === this.beginning()) await this.take_in(start, "", PAGE);
  }

  row({ seen, fields, texts, position, kind, decoder, heard_by }) {
    return { seen: Date.parse(seen), said: { ...fields, ...texts }, position, kind, decoder, heard_by };
  }

  // A message: its values are the newest ones, as far as the page knows; `refreshSeen` puts right what is not.
  note(message) {
    const before = this.known.get(message.device);
    if (!before && this.known.size >= MOST) return;
    const now = this.row({ ...message, seen: message.received });
    if (before) {
      before.seen = Math.max(before.seen, now.seen);
      for (const [name, value] of Object.entries(now.said)) before.said[name] = { ...before.said[name], value };
      before.decoder = now.decoder ?? before.decoder;
      if (now.heard_by?.length) before.heard_by = now.heard_by;
      before.position = now.position ?? before.position;
      this.soon();
    } else {
      this.known.set(message.device, now);
      this.filterSoon();
    }
  }

  filterSoon() {
    this.filtering ??= setTimeout(() => { this.filtering = null; this.filter(); }, 250);
  }

  filter() {
    const start = this.beginning();
    this.names = [...this.known.keys()].filter((name) => name.startsWith(start)).sort();
    const all = `${this.known.size.toLocaleString("en")}${this.whole || this.known.size < MOST ? "" : " or more"}`;
    this.count.textContent = start ? `${this.names.length.toLocaleString("en")} of ${all}` : all;
    this.space.style.height = `${this.names.length * ROW}px`;
    this.soon();
  }

  soon() {
    if (this.drawing) return;
    this.drawing = true;
    requestAnimationFrame(() => { this.drawing = false; this.draw(); });
  }

  draw() {
    this.drawn = true;
    const first = Math.max(0, Math.floor(this.box.scrollTop / ROW) - 3);
    const last = Math.min(this.names.length, first + Math.ceil(this.box.clientHeight / ROW) + 6);
    [this.first, this.last] = [first, last];
    const before = this.rows;
    this.rows = new Map();
    for (let index = first; index < last; index += 1) {
      const name = this.names[index];
      this.rows.set(name, this.draw_row(before.get(name) ?? this.new_row(name), name, index));
    }
    const rows = [...this.rows.values()];
    // Rows that stay are not moved in the document: a click that began on one must end on the same one.
    if (rows.length !== this.space.childElementCount || rows.some((row, at) => this.space.children[at] !== row)) this.space.replaceChildren(...rows);
    const chosen = rows.find((row) => row.getAttribute("aria-selected") === "true");
    if (chosen) this.box.setAttribute("aria-activedescendant", chosen.id); else this.box.removeAttribute("aria-activedescendant");
    if (this.names.length === 0) this.space.replaceChildren(element("p", this.known.size ? "No device begins like that." : "No device has sent anything yet.", "quiet"));
  }

  new_row(name) {
    const row = element("div");
    row.setAttribute("role", "option");
    row.append(element("b", name), element("em"), element("i"), element("span"));
    row.addEventListener("click", () => this.take(name));
    return row;
  }

  draw_row(row, name, index) {
    const { seen, position } = this.known.get(name);
    row.className = Date.now() - seen < 3000 ? "device fresh" : "device";
    row.style.top = `${index * ROW}px`;
    row.id = `device-${index}`;
    row.setAttribute("aria-posinset", String(index + 1));
    row.setAttribute("aria-setsize", String(this.names.length));
    row.setAttribute("aria-selected", String(name === this.chosen));
    const known = described(this.known.get(name));
    row.children[0].className = known.status;
    row.children[0].title = known.status || "";
    row.children[1].textContent = known.about;
    row.children[2].textContent = ago(seen);
    row.children[3].textContent = values({ fields: known.values, position });
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
