// node openai.mjs URL: the openai package against a running server.
import assert from "node:assert/strict";
import OpenAI, { APIError, BadRequestError, NotFoundError } from "openai";

const [url] = process.argv.slice(2);
const client = new OpenAI({ baseURL: url + "v1", apiKey: "none", maxRetries: 0 });
const messages = [{ role: "user", content: "Say something." }];
const request = { model: "m", messages, max_tokens: 40, seed: 11, temperature: 0.8 };

const models = await client.models.list();
assert.equal(models.data[0].id, "model");
assert.equal((await client.models.retrieve("model")).object, "model");

// A plain chat.
const plain = await client.chat.completions.create(request);
assert.equal(plain.object, "chat.completion");
assert.equal(plain.choices[0].message.role, "assistant");
assert.ok(["stop", "length"].includes(plain.choices[0].finish_reason));
assert.equal(plain.usage.total_tokens, plain.usage.prompt_tokens + plain.usage.completion_tokens);
assert.match(plain._request_id, /^chatcmpl-/);

// The same seed, streamed: the same text, one role, one end, and the usage.
const stream = await client.chat.completions.create({ ...request, stream: true, stream_options: { include_usage: true } });
let text = "", roles = 0, finish = null, usage = null;
for await (const chunk of stream) {
  assert.equal(chunk.object, "chat.completion.chunk");
  for (const choice of chunk.choices) {
    text += choice.delta.content ?? "";
    roles += choice.delta.role === "assistant" ? 1 : 0;
    finish = choice.finish_reason ?? finish;
  }
  usage = chunk.usage ?? usage;
}
assert.equal(text, plain.choices[0].message.content);
assert.equal(roles, 1);
assert.equal(finish, plain.choices[0].finish_reason);
assert.deepEqual({ ...usage, prompt_cache_hit_tokens: 0, prompt_cache_miss_tokens: 0, prompt_tokens_details: 0 },
  { ...plain.usage, prompt_cache_hit_tokens: 0, prompt_cache_miss_tokens: 0, prompt_tokens_details: 0 });

// The package's own reader of streams, with two choices and numbers.
const runner = client.chat.completions.stream({ ...request, n: 2, logprobs: true, top_logprobs: 2 });
const final = await runner.finalChatCompletion();
assert.equal(final.choices.length, 2);
assert.equal(final.choices[0].message.content, text);
assert.ok(final.choices[0].logprobs.content.length > 0);
assert.equal(final.choices[0].logprobs.content[0].top_logprobs.length, 2);

// Completions.
const completion = await client.completions.create({ model: "m", prompt: "Once", max_tokens: 5, seed: 2, logprobs: 1, echo: true });
assert.ok(completion.choices[0].text.startsWith("<\uFF5Cbegin\u2581of\u2581sentence\uFF5C>Once"));
assert.equal(completion.choices[0].logprobs.tokens.length, completion.choices[0].logprobs.token_logprobs.length);
let streamed = "";
for await (const chunk of await client.completions.create({ model: "m", prompt: "Once", max_tokens: 5, seed: 2, stream: true }))
  streamed += chunk.choices[0].text;
assert.ok(completion.choices[0].text.endsWith(streamed));

// Stopping in the middle leaves the server well.
const endless = await client.chat.completions.create({ ...request, max_tokens: 3000, stream: true });
for await (const chunk of endless) if (chunk.choices[0]?.delta.content) break;
endless.controller.abort();

// Errors have the classes that clients look for.
await assert.rejects(client.chat.completions.create({ ...request, temperature: 7 }), (e) => e instanceof BadRequestError && e.param === "temperature");
await assert.rejects(client.chat.completions.create({ ...request, max_tokens: 5000 }), (e) => e instanceof APIError && e.code === "context_length_exceeded");
await assert.rejects(client.models.retrieve("other"), NotFoundError);
console.log("openai: all as it should be");
