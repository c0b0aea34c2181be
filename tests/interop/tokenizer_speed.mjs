// node tokenizer_speed.mjs PROGRAM TOKENIZER_DIR TEXT.jsonl...: MB/s of encode on one thread, by CPU time, warm.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Tokenizer } from "@huggingface/tokenizers";
import { get_encoding } from "tiktoken";

const [program, folder, ...inputs] = process.argv.slice(2);
const json = (path) => JSON.parse(readFileSync(path, "utf8"));
const theirs = new Tokenizer(json(join(folder, "tokenizer.json")), json(join(folder, "tokenizer_config.json")));
const cl100k = get_encoding("cl100k_base");

/// The package in JavaScript takes minutes for what the program does in a second: it gets the first megabytes only.
function firstDocuments(path, megabytes) {
  const texts = [];
  let bytes = 0;
  for (const line of readFileSync(path, "utf8").split("\n")) {
    if (line === "" || bytes > megabytes * 1e6) continue;
    texts.push(JSON.parse(line).text);
    bytes += Buffer.byteLength(texts.at(-1));
  }
  return { texts, bytes };
}

/// Median CPU seconds of three passes over the texts, after one that warms up.
function seconds(texts, encode) {
  const times = [];
  for (let pass = 0; pass < 4; ++pass) {
    const start = process.cpuUsage();
    for (const text of texts) encode(text);
    const used = process.cpuUsage(start);
    times.push((used.user + used.system) / 1e6);
  }
  return times.slice(1).sort((a, b) => a - b)[1];
}

for (const input of inputs) {
  const rows = execFileSync(program, ["bench", "tokenizer", "--tokenizer", folder, "--input", input, "--json"], { encoding: "utf8" });
  const ours = rows.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line)).find((row) => row.name === "tokenizer/encode/t=1");
  const print = (name, rate) => console.log(`${name.padEnd(38)} ${rate.toFixed(1).padStart(8)} MB/s   hadal is ${(ours.mb_per_second / rate).toFixed(1)} times as fast`);
  console.log(input);
  console.log(`${"hadal".padEnd(38)} ${ours.mb_per_second.toFixed(1).padStart(8)} MB/s`);
  const small = firstDocuments(input, 2), large = firstDocuments(input, 16);
  print("@huggingface/tokenizers, same vocabulary", small.bytes / 1e6 / seconds(small.texts, (text) => theirs.encode(text, { add_special_tokens: false })));
  print("tiktoken, cl100k_base", large.bytes / 1e6 / seconds(large.texts, (text) => cl100k.encode_ordinary(text)));
}
