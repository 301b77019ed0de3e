// The API's schema, readable: operations by tag, their parameters, an example of each answer, and a form that asks.
import { element } from "./lines.js";

const SHOWN = 20000;
const token = sessionStorage.getItem("token") ?? "";
const headers = token ? { Authorization: `Bearer ${token}` } : {};
let components = {};

const resolve = (schema) => (schema?.$ref ? components[schema.$ref.split("/").at(-1)] : schema) ?? {};

// A value such as the schema describes: its example, else one by its type.
function example(schema, depth = 0) {
  const is = resolve(schema);
  if (is.examples?.length) return is.examples[0];
  if (is.default !== undefined && is.default !== null) return is.default;
  if (depth > 6) return null;
  const some = is.anyOf ?? is.oneOf;
  if (some) return example(some.find((one) => resolve(one).type !== "null") ?? some[0], depth + 1);
  if (is.enum) return is.enum[0];
  switch (is.type) {
    case "object":
      if (is.properties) return Object.fromEntries(Object.entries(is.properties).map(([name, one]) => [name, example(one, depth + 1)]));
      return is.additionalProperties ? { name: example(is.additionalProperties, depth + 1) } : {};
    case "array": return [example(is.items, depth + 1)];
    case "integer": return 1;
    case "number": return 1.5;
    case "boolean": return true;
    default: return is.type === "null" ? null : "…";
  }
}

function kind(schema) {
  const is = resolve(schema);
  const some = (is.anyOf ?? []).filter((one) => one.type !== "null");
  if (some.length) return some.map(kind).join(" or ");
  if (is.enum) return is.enum.length > 8 ? `one of ${is.enum.length} words` : is.enum.join(" | ");
  return is.type === "array" ? `${kind(is.items)}, repeated` : is.type ?? "";
}

function parameters(list) {
  const table = element("table");
  const head = table.createTHead().insertRow();
  for (const name of ["parameter", "in", "type", "what it does"]) head.append(element("th", name));
  const body = table.createTBody();
  for (const one of list) {
    const row = body.insertRow();
    for (const text of [one.name + (one.required ? " *" : ""), one.in, kind(one.schema), one.description ?? one.schema?.description ?? ""]) row.append(element("td", text));
  }
  return table;
}

function asking(path, list) {
  const form = element("form");
  const inputs = list.filter((one) => one.in !== "header").map((one) => {
    const label = element("label", one.name);
    const input = element("input");
    input.name = one.name;
    input.required = Boolean(one.required);
    label.append(input);
    form.append(label);
    return [one, input];
  });
  const out = element("pre");
  out.hidden = true;
  form.append(element("button", "Ask"));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const query = new URLSearchParams();
    let url = path;
    for (const [one, input] of inputs) {
      if (one.in === "path") url = url.replace(`{${one.name}}`, encodeURIComponent(input.value));
      else if (input.value) query.append(one.name, input.value);
    }
    if (query.size) url += `?${query}`;
    out.hidden = false;
    out.textContent = "…";
    try {
      const answer = await fetch(url, { headers });
      const text = await answer.text();
      let shown = text;
      try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* it is text */ }
      out.textContent = `${answer.status} ${url}\n\n${shown.slice(0, SHOWN)}${shown.length > SHOWN ? "\n…" : ""}`;
    } catch (error) {
      out.textContent = String(error);
    }
  });
  const box = element("div");
  box.append(form, out);
  return box;
}

function operation(path, method, is) {
  const box = element("details");
  const summary = element("summary");
  summary.append(element("b", method.toUpperCase()), element("code", path), element("span", is.summary ?? ""));
  const inside = element("div", undefined, "operation");
  if (is.description) inside.append(element("p", is.description));
  const list = is.parameters ?? [];
  if (list.length) inside.append(parameters(list));
  const sent = is.requestBody?.content?.["application/json"];
  if (sent) inside.append(element("h3", "What it takes"), element("pre", JSON.stringify(example(sent.schema), null, 2)));
  const [status, answer] = Object.entries(is.responses ?? {}).find(([code]) => code.startsWith("2")) ?? [];
  const json = answer?.content?.["application/json"];
  if (json?.schema) inside.append(element("h3", `What it answers (${status})`), element("pre", JSON.stringify(example(json.schema), null, 2)));
  if (method === "get" && !answer?.content?.["text/event-stream"]) inside.append(asking(path, list));
  box.append(summary, inside);
  return box;
}

async function show() {
  const schema = await (await fetch("/openapi.json")).json();
  components = schema.components?.schemas ?? {};
  const docs = document.getElementById("docs");
  document.getElementById("about").textContent = `${schema.info.title} ${schema.info.version}. ${schema.info.description ?? ""}`;
  const tags = new Map();
  for (const [path, methods] of Object.entries(schema.paths)) {
    for (const [method, is] of Object.entries(methods)) {
      const tag = is.tags?.[0] ?? "other";
      if (!tags.has(tag)) tags.set(tag, []);
      tags.get(tag).push(operation(path, method, is));
    }
  }
  for (const [tag, operations] of tags) docs.append(element("h2", tag), ...operations);
}

show().catch((error) => { document.getElementById("about").textContent = `The schema cannot be read: ${error}`; });
