"use strict";
// Tables of the manifest that stands in the page (src/data/corpus/manifest.h).
const m = JSON.parse(document.getElementById("data").textContent);
const root = document.getElementById("report");
root.textContent = "";

function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}
function short(x) {
  for (const [size, unit] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e4, "k"]])
    if (Math.abs(x) >= size) return (x / (unit === "k" ? 1e3 : size)).toPrecision(3) + unit;
  return Number.isInteger(x) ? String(x) : x.toPrecision(4);
}
const percent = (part, whole) => (whole > 0 ? (100 * part / whole).toFixed(part === whole ? 0 : 2) + "%" : "-");
const card = (title, ...children) => root.append(el("section", {class: "card"}, el("h2", {}, title), ...children));
// Columns: [title, whether it is a number, row => text or node].
function table(rows, columns) {
  const head = el("tr", {}, ...columns.map(([title, n]) => el("th", n ? {class: "n"} : {}, title)));
  const body = rows.map((row) => el("tr", {}, ...columns.map(([, n, get]) => el("td", n ? {class: "n"} : {}, get(row)))));
  return el("table", {}, head, ...body);
}
const tile = (value, label) => el("div", {class: "tile"}, el("b", {}, value), el("span", {}, label));

const read = m.stages[0];
root.append(el("h1", {}, "Corpus report"),
            el("div", {class: "soft"}, `${m.sources.length} sources, ${short(read.bytes_in)}B in, key ${m.key}`));
root.append(el("div", {class: "tiles"},
  tile(short(read.documents_in), "documents read"),
  tile(short(m.train.documents), "documents in shards, copies counted"),
  tile(short(m.train.tokens), "tokens for training"),
  tile(short(m.train.sequences), `sequences, ${percent(m.train.sequence_fill, 1)} full`),
  tile(percent(m.near_duplicates.rate, 1), "near-duplicates"),
  tile(percent(m.train.fim_rate, 1), "documents with FIM"),
  tile(`${m.speed.mb_per_second_per_core.toFixed(1)} MB/s`, "per core, all stages")));

const widest = Math.max(...m.stages.map((s) => s.bytes_in));
function bar(kept, lost) {
  const part = (tag, bytes) => el(tag, {style: `width:${260 * bytes / widest}px`});
  return el("div", {class: "bar"}, part("i", kept), part("u", Math.max(lost, 0)));
}
card("Stages", table(m.stages, [
  ["stage", false, (s) => s.name],
  ["text kept and lost", false, (s) => bar(s.bytes_out, s.bytes_in - s.bytes_out)],
  ["documents in", true, (s) => short(s.documents_in)],
  ["out", true, (s) => short(s.documents_out)],
  ["bytes out", true, (s) => short(s.bytes_out)],
  ["dropped", true, (s) => percent(s.documents_in - s.documents_out, s.documents_in)],
  ["MB/s a core", true, (s) => {
    const speed = m.speed.stages[s.name];
    return speed && speed.seconds > 0 ? short(speed.mb_per_second) : "-";
  }]]));

function samples(filter) {
  const list = el("details", {}, el("summary", {}, filter.name));
  for (const s of filter.samples)
    list.append(el("div", {class: "where"}, `${s.where}: ${s.detail}`), el("pre", {}, s.text));
  return list;
}
card("What the filters dropped", m.filters.length === 0 ? "Nothing." : table(m.filters, [
  ["filter (open for samples)", false, samples],
  ["documents", true, (f) => short(f.documents)],
  ["share of what was read", true, (f) => percent(f.documents, read.documents_in)],
  ["bytes", true, (f) => short(f.bytes)]]));

const lines = m.removed_lines;
card("Lines and personal data", el("div", {},
  `Lines removed: ${short(lines.by_rule)} by phrases and rules, ${short(lines.by_share)} that many documents of a source ` +
  `have, ${short(lines.duplicates)} of earlier documents. Masked: ${short(m.masked.emails || 0)} e-mail addresses, ` +
  `${short(m.masked.ips || 0)} IP addresses, ${short(m.masked.phones || 0)} telephone numbers. Evaluation sets: ` +
  `${short(m.decontamination.texts)} texts, ${short(m.decontamination.ngrams)} ${m.decontamination.ngram}-grams.`));

const entries = (object) => Object.entries(object).sort((a, b) => b[1] - a[1]);
const counted = (title, documents, tokens) => card(title, table(entries(documents), [
  ["", false, ([name]) => name],
  ["documents after cleaning", true, ([, n]) => short(n)],
  ["tokens after deduplication", true, ([name]) => short((tokens || {})[name] || 0)]]));
counted("Languages", m.languages, m.tokens.languages);
counted("Classes", m.classes, m.tokens.classes);

card("Mix", table(m.mix, [
  ["source", false, (g) => g.source], ["class", false, (g) => g.class],
  ["tokens", true, (g) => short(g.tokens)], ["weight", true, (g) => short(g.weight)],
  ["epochs", true, (g) => g.epochs.toFixed(2)], ["tokens taken", true, (g) => short(g.tokens_taken)]]));
card("Shards", table(m.shards, [
  ["file", false, (s) => s.file], ["documents", true, (s) => short(s.documents)],
  ["tokens", true, (s) => short(s.tokens)], ["sequences", true, (s) => short(s.sequences)],
  ["PSM", true, (s) => short(s.fim_psm)], ["SPM", true, (s) => short(s.fim_spm)],
  ["checksum", false, (s) => s.checksum]]));
card("Sources", table(m.sources, [
  ["name", false, (s) => s.name], ["files", true, (s) => short(s.num_files)], ["bytes", true, (s) => short(s.bytes)],
  ["records", true, (s) => short(s.records)], ["clean documents", true, (s) => short(s.clean_documents)],
  ["hash", false, (s) => s.hash]]));
