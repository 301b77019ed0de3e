// Asking the API, with a token where one was given. One place for errors: null means "not now".
const BASE = "/api/v1";
let token = sessionStorage.getItem("token") ?? "";
let refused = () => {};

export function onRefused(tell) { refused = tell; }
export function useToken(given) { token = given; sessionStorage.setItem("token", given); }

const headers = () => (token ? { Authorization: `Bearer ${token}` } : {});

export async function api(path) {
  const answer = await fetch(BASE + path, { headers: headers() }).catch(() => null);
  if (!answer) return null;
  if (answer.status === 401 || answer.status === 403) refused();
  return answer.ok ? answer.json() : null;
}

// A change: { ok, body, detail }, where `detail` says why not.
export async function send(method, path, body) {
  const answer = await fetch(BASE + path, { method, headers: { ...headers(), "Content-Type": "application/json" }, body: JSON.stringify(body) }).catch(() => null);
  if (!answer) return { ok: false, detail: "nothing answers" };
  const said = await answer.json().catch(() => ({}));
  return { ok: answer.ok, body: said, detail: said.detail ?? `${answer.status}` };
}

// Server-sent events over fetch, because EventSource cannot send a token. Comes back after a broken line, with a pause
// that grows to 15 seconds, and says where it was.
export function follow(path, each) {
  const cut = new AbortController();
  let last = "";
  (async () => {
    let pause = 500;
    while (!cut.signal.aborted) {
      try {
        const answer = await fetch(BASE + path, { headers: { ...headers(), ...(last && { "Last-Event-ID": last }) }, signal: cut.signal });
        if (answer.status === 400) last = ""; // of another log: begin now
        if (answer.ok) {
          pause = 500;
          for await (const event of events(answer.body)) {
            if (event.id) last = event.id;
            if (event.data) each(event.event, JSON.parse(event.data));
          }
        }
      } catch { /* said below: try again */ }
      await new Promise((done) => setTimeout(done, pause * (0.5 + Math.random() / 2)));
      pause = Math.min(pause * 2, 15000);
    }
  })();
  return () => cut.abort();
}

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const event = { event: "message", data: "", id: "" };
      for (const line of block.split("\n")) {
        const at = line.indexOf(":");
        if (at > 0) event[line.slice(0, at)] = line.slice(at + 1).trimStart();
      }
      yield event;
    }
  }
}
