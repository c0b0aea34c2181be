// node tokenizer.mjs PROGRAM REPOSITORY: trains tokenizers with PROGRAM on the repository's own headers and on sentences of
// many languages, then compares ids and decoded text with @huggingface/tokenizers.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Tokenizer } from "@huggingface/tokenizers";

const [program, repository] = process.argv.slice(2);
const hadal = (...args) => execFileSync(program, ["tokenizer", ...args], { encoding: "utf8", maxBuffer: 1 << 28, stdio: ["ignore", "pipe", "ignore"] });
const lines = (text) => text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));

const sentences = [
  "The quick brown fox jumps over 13 lazy dogs, doesn't it? Yes: 3.14159, 1,000,000 and 0x1F.",
  "敏捷的棕色狐狸跳过了懒狗。价格是100元，共计2024年12月。", "すばやい茶色の狐が、のろまな犬を飛び越える・カタカナ゛。",
  "다람쥐 헌 쳇바퀴에 타고파", "Съешь же ещё этих мягких французских булок, да выпей чаю.", "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία.",
  "نص حكيم له سر قاطع وذو شأن عظيم ٠١٢٣٤٥٦٧٨٩", "ऋषियों को सताने वाले दुष्ट राक्षसों के राजा रावण", "เป็นมนุษย์สุดประเสริฐเลิศคุณค่า",
  "Příliš žluťoučký kůň úpěl ďábelské ódy — “naïve” café… №5 ½ ①②③ １２３", "👩‍👩‍👧‍👦 🚀🚀 🇩🇪 ✔️ e\u0301 \u00A0 nbsp \u200B zero",
  "\tif (x[i] != y->z) {\r\n\t\treturn f(a, b) + \"str\\n\";\r\n\t}\n\n\n  // done...!!!\n", "   three spaces,  two, one \n \n\t \n end  ",
];

/// A generator of pseudo-random integers (a linear congruence modulo 2^32), so that every run checks the same texts.
function makeRandom(seed) {
  let state = seed >>> 0;
  return (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 4294967296) * n);
  };
}

// Blocks that no Unicode version of the last ten years has changed.
const blocks = [[0x20, 0x7e], [0xa1, 0x17f], [0x300, 0x36f], [0x391, 0x3a1], [0x410, 0x44f], [0x5d0, 0x5ea], [0x660, 0x669], [0x905, 0x939],
  [0x2010, 0x2027], [0x2190, 0x21ff], [0x3041, 0x3096], [0x30a1, 0x30fa], [0x4e00, 0x9fa5], [0xac00, 0xd7a3], [0xff01, 0xff5e], [0x1f600, 0x1f64f]];
function randomText(random) {
  let text = "";
  for (let n = 1 + random(60); n > 0; --n) {
    const [first, last] = blocks[random(blocks.length)];
    text += random(4) === 0 ? [" ", "\n", "  ", "\r\n", "\t", "12", "the", "中文"][random(8)] : String.fromCodePoint(first + random(last - first + 1));
  }
  return text;
}

const random = makeRandom(7);
const texts = [...sentences, ...Array.from({ length: 2000 }, () => randomText(random)), "", " ", "\n", "<think>", "a<｜User｜>b<|EOT|>", " <|x|> y", "I'LL say: 'tis it'S"];
const headers = readdirSync(join(repository, "src"), { recursive: true }).filter((name) => name.endsWith(".h")).sort();
const code = headers.map((name) => readFileSync(join(repository, "src", name), "utf8"));
const corpus = [...code, ...Array.from({ length: 40 }, (_, i) => sentences.map((s, j) => (i + j) % 3 ? s : s + " " + sentences[(i + j) % sentences.length]).join("\n"))];
mkdirSync("work", { recursive: true });
const jsonl = (path, list) => writeFileSync(path, list.map((text) => JSON.stringify({ text }) + "\n").join(""));
jsonl("work/corpus.jsonl", corpus);
jsonl("work/texts.jsonl", texts.concat(code.slice(0, 40)));

/// Compares both programs on one tokenizer; returns the number of differences.
function compare(name, folder) {
  const theirs = new Tokenizer(JSON.parse(readFileSync(join(folder, "tokenizer.json"), "utf8")), JSON.parse(readFileSync(join(folder, "tokenizer_config.json"), "utf8")));
  const input = texts.concat(code.slice(0, 40));
  const ids = lines(hadal("encode", "--tokenizer", folder, "--jsonl", "work/texts.jsonl"));
  writeFileSync("work/ids.jsonl", ids.map((line) => JSON.stringify({ ids: line }) + "\n").join(""));
  const decoded = lines(hadal("decode", "--tokenizer", folder, "--jsonl", "work/ids.jsonl"));
  let different = 0, tokens = 0;
  input.forEach((text, i) => {
    const wanted = theirs.encode(text, { add_special_tokens: false }).ids;
    tokens += wanted.length;
    // Qwen2's preset brings text to NFC first.
    if (JSON.stringify(wanted) === JSON.stringify(ids[i]) && decoded[i] === (name.endsWith("qwen2") ? text.normalize("NFC") : text)) return;
    if (different++ < 5) console.log(`${name}: ${JSON.stringify(text.slice(0, 200))}\n  ours   ${ids[i]}\n  theirs ${wanted}\n  decoded ${JSON.stringify(decoded[i].slice(0, 200))}`);
  });
  // DeepSeek's file leaves BOS to the Python class, which the package does not imitate.
  const bos = hadal("encode", "--tokenizer", folder, "--add-special", "--text", "hello").trim();
  const wantedBos = JSON.stringify(theirs.encode("hello").ids);
  if (name !== "deepseek-v3" && bos !== wantedBos) console.log(`${name}: with special tokens ours ${bos}, theirs ${wantedBos}`), ++different;
  console.log(`${name}: ${input.length} texts, ${tokens} tokens, ${different} differences`);
  return different;
}

let different = 0;
const presets = ["deepseek-llm", "deepseek-coder", "qwen2", "deepseek-r1-qwen", "llama-bpe", "gpt-2"].map((preset) => ["--vocab-size", "1500", "--preset", preset]);
for (const options of [["--vocab-size", "1200"], ["--vocab-size", "4000", "--no-digit-merges"], ...presets,
  ["--vocab-size", "1000", "--regex", "\\p{Lu}?\\p{Ll}+|\\p{N}{1,2}|[^\\p{L}\\p{N}]", "--special", "<|x|>"]]) {
  const name = options.join(" ").replaceAll("--", "");
  const folder = join("work", name.replaceAll(/[^a-z0-9-]+/g, "_"));
  hadal("train", "--input", "work/corpus.jsonl", "--out", folder, ...options);
  different += compare(name, folder);
}
const v3 = join(process.env.HADAL_SHARED ?? join(repository, "..", "shared"), "tokenizers", "deepseek-v3");
if (existsSync(v3)) different += compare("deepseek-v3", v3);
process.exit(different === 0 ? 0 : 1);
