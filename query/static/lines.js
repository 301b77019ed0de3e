// Lists of lines that grow at the top, drawn at most once a frame; and how times and values are written.
const MOST = 100;

export function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

export function clock(rfc3339) {
  const moment = new Date(rfc3339);
  const time = moment.toLocaleTimeString([], { hour12: false });
  return Math.abs(Date.now() - moment) < 43200000 ? `${time}.${String(moment.getMilliseconds()).padStart(3, "0")}` : `${moment.toLocaleDateString([], { month: "short", day: "numeric" })} ${time.slice(0, 5)}`;
}

export function ago(rfc3339) {
  const seconds = (Date.now() - new Date(rfc3339)) / 1000;
  if (seconds < 2) return "now";
  if (seconds < 90) return `${Math.round(seconds)} s ago`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
  return seconds < 129600 ? `${Math.round(seconds / 3600)} h ago` : `${Math.round(seconds / 86400)} d ago`;
}

export function number(value) {
  if (typeof value !== "number") return String(value);
  return Number.isInteger(value) ? String(value) : String(+value.toPrecision(6));
}

export function values(message) {
  const parts = Object.entries({ ...message.fields, ...message.texts }).map(([name, value]) => `${name} ${number(value?.value ?? value)}${value?.unit ? ` ${value.unit}` : ""}`);
  if (message.position) parts.push(`at ${message.position.lat.toFixed(5)}, ${message.position.lon.toFixed(5)}`);
  if (message.via) parts.push(`via ${message.via}`);
  return parts.join("  ");
}

// What a device says of itself – name, model, whether it is there, battery, signal – apart from its values.
const ABOUT = new Set(["name", "model", "manufacturer", "firmware", "status"]);
const BATTERY = /(^|\.)(battery|batt|batteryPercentage|battery_percentage)$/i;
const SIGNAL = /(^|\.)(rssi|linkquality)$/i;

export function described({ said, heard_by }) {
  const is = (name) => said[name]?.value ?? said[name];
  // Measured values first, then other numbers, then texts.
  const rank = (value) => (value?.unit ? 0 : typeof (value?.value ?? value) === "number" ? 1 : 2);
  const values = Object.fromEntries(Object.entries(said)
    .filter(([name]) => !ABOUT.has(name) && !name.startsWith("unit.") && !name.startsWith("note."))
    .sort(([, a], [, b]) => rank(a) - rank(b)));
  const about = [is("name"), [is("manufacturer"), is("model")].filter(Boolean).join(" ")].filter(Boolean);
  const found = (names) => Object.entries(values).find(([name, value]) => names.test(name) && typeof (value?.value ?? value) === "number");
  const battery = found(BATTERY);
  const signal = found(SIGNAL);
  if (battery) about.push(`battery ${number(battery[1]?.value ?? battery[1])} %`);
  if (signal) about.push(`${signal[0].split(".").at(-1)} ${number(signal[1]?.value ?? signal[1])}${signal[1]?.unit ? ` ${signal[1].unit}` : ""}`);
  else if (heard_by?.length) about.push(`heard at ${Math.max(...heard_by.map((one) => one.rssi ?? -999))} dBm`);
  const status = String(is("status") ?? "").toLowerCase();
  const known = ["online", "offline"].includes(status) ? status : "";
  if (known === "offline") about.unshift("offline");
  return { values, about: about.join(" · "), status: known };
}

export class Lines {
  constructor(list, empty) {
    this.list = list;
    this.waiting = [];
    list.append(element("li", empty, "empty"));
  }

  add(parts) {
    this.waiting.push(parts);
    if (this.waiting.length > MOST) this.waiting.shift();
    if (this.waiting.length === 1) requestAnimationFrame(() => this.draw());
  }

  replace(rows) {
    this.list.replaceChildren(...rows.map((row) => this.row(row)));
  }

  draw() {
    this.list.querySelector(".empty")?.remove();
    this.list.prepend(...this.waiting.reverse().map((row) => this.row(row)));
    this.waiting = [];
    while (this.list.childElementCount > MOST) this.list.lastElementChild.remove();
  }

  row([time, name, text]) {
    const line = element("li");
    const rest = element("span", text);
    rest.title = text;
    line.append(element("time", time), element("b", name), rest);
    return line;
  }
}
