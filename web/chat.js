// The chat page: one conversation, in memory only. Settings stay in this browser.
import { markdown } from "/markdown.js";

const $ = (id) => document.getElementById(id);
const options = $("options"), input = $("input"), list = $("messages"), status = $("status");
let messages = [];      // {role, content, reasoning_content}
let running = null;     // AbortController of the answer that is being written

function headers() {
  const key = options.key.value.trim();
  return { "Content-Type": "application/json", ...(key === "" ? {} : { Authorization: "Bearer " + key }) };
}

function show(text, isError = false) {
  status.textContent = text;
  status.className = isError ? "error" : "";
}

/// Makes the node of a message; its update() draws what the message says by now.
function view(message) {
  const node = document.createElement("article");
  node.className = message.role;
  if (message.role === "user") {
    node.textContent = message.content;
  } else {
    const thinking = document.createElement("details"), title = document.createElement("summary"), thought = document.createElement("div");
    const content = document.createElement("div");
    title.textContent = "Thinking";
    thinking.append(title, thought);
    thinking.hidden = true;
    thinking.open = true;
    node.append(thinking, content);
    let closed = false;
    node.update = () => {
      thinking.hidden = message.reasoning_content === "";
      thought.textContent = message.reasoning_content;
      content.replaceChildren(...markdown(message.content));
      // Folds once, when the answer begins; after that it is the reader's.
      if (!closed && message.content !== "") thinking.open = !(closed = true);
    };
    node.update();
  }
  list.append(node);
  return node;
}

function scrollDown(force) {
  const near = list.scrollHeight - list.scrollTop - list.clientHeight < 120;
  if (near || force) list.scrollTop = list.scrollHeight;
}

/// Calls use(object) for each event of a stream; returns whether it ended as it should.
async function readEvents(response, use) {
  const decoder = new TextDecoder();
  let rest = "";
  for (const reader = response.body.getReader(); ;) {
    const { done, value } = await reader.read();
    if (done) return false;
    rest += decoder.decode(value, { stream: true });
    const events = rest.split("\n\n");
    rest = events.pop();
    for (const event of events) {
      if (!event.startsWith("data: ")) continue;
      const data = event.slice(6);
      if (data === "[DONE]") return true;
      use(JSON.parse(data));
    }
  }
}

function requestBody() {
  const system = options.system.value.trim(), most = Number(options.max_tokens.value);
  const history = messages.map(({ role, content }) => ({ role, content }));
  return {
    messages: system === "" ? history : [{ role: "system", content: system }, ...history],
    temperature: Number(options.temperature.value),
    top_p: Number(options.top_p.value),
    ...(most > 0 ? { max_tokens: most } : {}),
    stream: true,
    stream_options: { include_usage: true },
  };
}

async function answer() {
  const body = JSON.stringify(requestBody());
  const message = { role: "assistant", content: "", reasoning_content: "" };
  messages.push(message);
  const node = view(message);
  scrollDown(true);
  running = new AbortController();
  update();
  show("Waiting...");
  let first = 0, drawn = true;
  const draw = () => {
    if (drawn) return;
    drawn = true;
    node.update();
    scrollDown(false);
  };
  try {
    const response = await fetch("/v1/chat/completions", { method: "POST", headers: headers(), body, signal: running.signal });
    if (!response.ok) throw new Error((await response.json()).error.message);
    let usage = null, finish = null;
    const whole = await readEvents(response, (event) => {
      if (event.error) throw new Error(event.error.message);
      if (event.usage) usage = event.usage;
      for (const choice of event.choices) {
        const text = (choice.delta.content ?? "") + (choice.delta.reasoning_content ?? "");
        message.content += choice.delta.content ?? "";
        message.reasoning_content += choice.delta.reasoning_content ?? "";
        finish = choice.finish_reason ?? finish;
        if (text === "") continue;
        if (first === 0) show("Writing..."), (first = performance.now());
        if (drawn) requestAnimationFrame(draw);
        drawn = false;
      }
    });
    if (!whole) throw new Error("the connection ended before the answer did");
    const rate = usage && first > 0 ? (usage.completion_tokens * 1000) / (performance.now() - first) : 0;
    show(usage ? `${usage.prompt_tokens} + ${usage.completion_tokens} tokens, ${rate.toFixed(1)} a second` + (finish === "length" ? "; cut at the limit" : "") : "");
  } catch (error) {
    if (error.name === "AbortError") show("Stopped.");
    else show(error.message, true);
    if (message.content === "" && message.reasoning_content === "") {
      messages.pop();
      node.remove();
    }
  }
  drawn = false;
  draw();
  running = null;
  update();
}

function update() {
  $("send").hidden = running !== null;
  $("stop").hidden = running === null;
  $("again").disabled = running !== null || messages.length === 0;
}

function send() {
  const content = input.value.trim();
  if (content === "" || running !== null) return;
  input.value = "";
  const message = { role: "user", content };
  messages.push(message);
  view(message);
  answer();
}

function again() {
  if (running !== null) return;
  if (messages.at(-1)?.role === "assistant") {
    messages.pop();
    list.lastElementChild.remove();
  }
  if (messages.length > 0) answer();
}

function clear() {
  running?.abort();
  messages = [];
  list.replaceChildren();
  show("");
  update();
  input.focus();
}

$("ask").addEventListener("submit", (event) => { event.preventDefault(); send(); });
$("stop").addEventListener("click", () => running?.abort());
$("again").addEventListener("click", again);
$("clear").addEventListener("click", clear);
options.addEventListener("submit", (event) => event.preventDefault());
input.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); send(); }
});
document.addEventListener("keydown", (event) => { if (event.key === "Escape") running?.abort(); });

for (const field of options.elements) {
  field.value = localStorage.getItem("hadal." + field.name) ?? field.value;
  field.addEventListener("change", () => localStorage.setItem("hadal." + field.name, field.value));
}
fetch("/v1/models", { headers: headers() })
  .then((response) => (response.ok ? response.json() : { data: [] }))
  .then(({ data }) => { $("model").textContent = data[0]?.id ?? ""; })
  .catch(() => show("the server does not answer", true));
