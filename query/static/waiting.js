// What was rejected and waits, in groups; a drafted mapping to edit and add, and sending on what is read by now.
import { api, send } from "./api.js";
import { clock, element } from "./lines.js";

const byId = (id) => document.getElementById(id);

export class Waiting {
  constructor() {
    this.asked = 0;
    byId("mapping-close").addEventListener("click", () => byId("mapping").close());
    byId("mapping-add").addEventListener("click", () => this.add());
  }

  async refresh() {
    const turn = ++this.asked;
    const page = await api("/rejected/groups").catch(() => null);
    if (!page || turn !== this.asked) return;
    byId("rejected-groups").hidden = page.groups.length === 0;
    byId("rejected-groups").tBodies[0].replaceChildren(...page.groups.slice(0, 50).map((group) => this.row(group)));
  }

  row(group) {
    const row = element("tr");
    const last = element("td");
    row.append(
      element("td", group.count.toLocaleString("en"), "number"), element("td", group.reason),
      element("td", group.shape || group.decoder || group.sample?.transport || ""), element("td", clock(group.last)), last,
    );
    row.title = group.detail;
    if (group.readable_by) last.append(this.button(`send on: ${group.readable_by} reads it`, () => this.retry(group, row)));
    else if (group.mapping) last.append(this.button("draft a mapping", () => this.draft(group)));
    else last.append(element("span", group.detail, "quiet"));
    return row;
  }

  button(text, work) {
    const made = element("button", text);
    made.addEventListener("click", work);
    return made;
  }

  draft(group) {
    byId("mapping-name").value = (group.shape.replace(/[^A-Za-z0-9]+/g, "-").replace(/^-+|-+$/g, "") || "mine").slice(0, 64);
    byId("mapping-text").value = group.mapping;
    byId("mapping-said").textContent = "";
    byId("mapping").showModal();
  }

  async add() {
    const body = { name: byId("mapping-name").value.trim(), language: "mapping", text: byId("mapping-text").value };
    const answer = await send("POST", "/registry/decoders", body);
    if (!answer.ok) { byId("mapping-said").textContent = answer.detail; return; }
    byId("mapping").close();
    await this.refresh();
  }

  async retry(group, row) {
    const answer = await send("POST", "/rejected/retry", { reason: group.reason, shape: group.shape });
    row.lastElementChild.replaceChildren(element("span", answer.ok ? `${answer.body.sent} sent on` : answer.detail, "quiet"));
    if (answer.ok) setTimeout(() => this.refresh(), 1500);
  }
}
