// node page.mjs URL CHROMIUM: the chat page in a headless browser, driven through the DevTools protocol: a message is
// sent and the answer is seen to grow.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [url, chromium] = process.argv.slice(2);
const profile = mkdtempSync(join(tmpdir(), "hadal-page-"));
const browser = spawn(chromium, ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-port=0",
  `--user-data-dir=${profile}`, "about:blank"], { stdio: ["ignore", "ignore", "pipe"], detached: true });

/// Where the browser listens; it says so on stderr.
const debuggerUrl = await new Promise((resolve, reject) => {
  let log = "";
  browser.stderr.on("data", (data) => {
    log += data;
    const match = log.match(/DevTools listening on (ws:\S+)/);
    if (match) resolve(match[1]);
  });
  browser.on("exit", () => reject(new Error("Chromium ended: " + log)));
});

const socket = new WebSocket(debuggerUrl);
await new Promise((resolve, reject) => { socket.onopen = resolve; socket.onerror = reject; });
const waiting = new Map(), problems = [];
let lastId = 0;
socket.onmessage = ({ data }) => {
  const message = JSON.parse(data);
  if (message.id) waiting.get(message.id)(message), waiting.delete(message.id);
  if (message.method === "Runtime.exceptionThrown") problems.push(message.params.exceptionDetails.exception?.description ?? message.params.exceptionDetails.text);
  if (message.method === "Log.entryAdded" && message.params.entry.level === "error") problems.push(message.params.entry.text);
};
function call(method, params = {}, sessionId = undefined) {
  const id = ++lastId;
  socket.send(JSON.stringify({ id, method, params, sessionId }));
  return new Promise((resolve, reject) => waiting.set(id, (m) => (m.error ? reject(new Error(m.error.message)) : resolve(m.result))));
}

const { targetId } = await call("Target.createTarget", { url: "about:blank" });
const { sessionId } = await call("Target.attachToTarget", { targetId, flatten: true });
const page = (method, params) => call(method, params, sessionId);
async function evaluate(expression) {
  const { result, exceptionDetails } = await page("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
  if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
  return result.value;
}
async function until(what, expression) {
  for (let i = 0; i < 600; ++i) {
    const value = await evaluate(expression);
    if (value) return value;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("waited in vain for " + what);
}

try {
  await page("Runtime.enable");
  await page("Log.enable");
  await page("Page.enable");
  await page("Page.navigate", { url });
  await until("the name of the model", `document.getElementById("model")?.textContent === "model"`);
  await evaluate(`window.lengths = []; new MutationObserver(() => {
    const length = document.querySelector(".assistant")?.textContent.length ?? 0;
    if (length !== lengths.at(-1)) lengths.push(length);
  }).observe(document.getElementById("messages"), { childList: true, subtree: true, characterData: true }); true`);
  // By keyboard only, as somebody without a mouse would.
  await evaluate(`document.getElementById("input").focus(); document.querySelector("[name=max_tokens]").value = 3000; true`);
  await page("Input.insertText", { text: "Tell me <b>everything</b>." });
  await page("Input.dispatchKeyEvent", { type: "keyDown", key: "Enter", code: "Enter", windowsVirtualKeyCode: 13, text: "\r" });
  await until("the message", `document.querySelector(".user")?.textContent === "Tell me <b>everything</b>."`);
  await until("the end of the answer", `/tokens/.test(document.getElementById("status").textContent) && document.getElementById("stop").hidden`);
  const lengths = await evaluate("lengths");
  assert.ok(lengths.length >= 3, "the answer came in pieces: " + lengths);
  assert.ok(lengths.at(-1) > 0);
  await evaluate(`document.getElementById("again").click(); true`);
  await until("a second answer", `document.querySelectorAll(".assistant").length === 1 && document.getElementById("stop").hidden`);
  assert.deepEqual(problems, []);
  console.log("page: the answer grew in " + lengths.length + " steps");
} finally {
  socket.close();
  browser.removeAllListeners("exit");
  const ended = new Promise((resolve) => browser.once("exit", resolve));
  // The browser's helpers outlive it by a moment and still write to the profile: the whole process group goes.
  process.kill(-browser.pid, "SIGKILL");
  await ended;
  await removeFolder(profile);
}

/// Tries again while files still appear (rmSync's own retries do not cover a folder inside). What stays behind in the
/// temporary folder says nothing about the page, so it is only told.
async function removeFolder(path) {
  for (let i = 0; i < 50; ++i) {
    try {
      return rmSync(path, { recursive: true, force: true });
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  console.log("page: could not remove " + path);
}
