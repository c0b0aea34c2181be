// The sections of the report, from top to bottom.
const columns = data.metrics || {};
const steps = columns.step || [];
const has = (name) => columns[name] && columns[name].some((v) => v !== null);
const marks = data.skipped.map((s) => s.step);
const tokensAt = (i) => (columns.tokens ? `${short(columns.tokens[i])} tokens` : "");
const options = (data.manifest && data.manifest.options) || {};

function header() {
  const sessions = (data.manifest && data.manifest.sessions) || [];
  const machine = sessions.length ? sessions[0].machine : null;
  const parts = [data.manifest && data.manifest.verb, machine && machine.cpu, machine && `${machine.threads} threads`, machine && machine.isa,
    sessions.length && sessions[0].time.replace("T", " ").replace("Z", " UTC"), sessions.length > 1 && `resumed ${sessions.length - 1} times`];
  return el("header", {}, el("h1", {}, data.name), el("div", { class: "sub" }, parts.filter(Boolean).join("  \u00b7  ")));
}

function tiles() {
  const box = el("div", { class: "tiles" });
  const add = (label, value) => box.append(el("div", { class: "tile" }, el("b", {}, value), el("span", {}, label)));
  if (has("main_loss")) {
    const smooth = smoothed(columns.main_loss, 20);
    add(`nats per token, from ${short(columns.main_loss.find((v) => v !== null))}`, short(last(smooth)));
  } else if (has("loss")) {
    add("loss", short(last(columns.loss)));
  }
  const evals = data.validation;
  if (evals.bits_per_byte) add("bits per validation byte", short(last(evals.bits_per_byte)));
  if (steps.length) add("optimizer steps", steps[steps.length - 1].toLocaleString("en"));
  if (has("tokens")) add("tokens", short(last(columns.tokens)));
  if (has("tokens_per_second")) {
    const speeds = columns.tokens_per_second.filter((v) => v !== null).sort((a, b) => a - b);
    add("tokens per second", short(speeds[speeds.length >> 1]));
  }
  if (data.seconds) add("in training steps", duration(data.seconds));
  if (has("max_violation")) add("worst expert overload", `+${Math.round(100 * last(smoothed(columns.max_violation, 20)))}%`);
  const parameters = data.manifest && data.manifest.model && data.manifest.model.num_parameters;
  if (parameters) add("parameters", short(parameters));
  if (marks.length) add("steps not trained on", String(marks.length));
  return box;
}

function metricCard(title, names, { note = "", wide = false, height, log = false, logTool = false, zero = false, smooth = true } = {}) {
  const shown = names.filter(([name]) => has(name));
  if (shown.length === 0) return null;
  const span = Math.max(2, Math.min(50, steps.length / 25));
  const series = shown.map(([name, label, color]) => smooth && steps.length > 40
    ? { name: label, color, values: smoothed(columns[name], span), raw: columns[name] }
    : { name: label, color, values: columns[name] });
  let chart;
  const tools = logTool ? [toggle("log scale", log, (on) => chart.setLog(on))] : [];
  const box = card(title, { note, wide, tools });
  chart = lineChart(box, { x: steps, series, height, log, zero, marks, extra: tokensAt });
  return box;
}

function evalCard() {
  const evals = data.validation;
  if (!evals.step || evals.step.length < 2) return null;
  const [name, label] = evals.bits_per_byte ? ["bits_per_byte", "bits per byte"] : ["loss", "loss"];
  if (!evals[name]) return null;
  const box = card("Validation text", { note: label });
  lineChart(box, { x: evals.step, series: [{ name: label, color: "green", values: evals[name] }] });
  return box;
}

// A short text is well read at all its places; what a model cannot use beyond its window shows as a rise.
function positionCard() {
  const positions = data.positions;
  if (!positions) return null;
  const colors = ["faint", "orange", "blue", "green", "violet"];
  const parts = positions.series[0].values.length;
  const x = positions.series[0].values.map((_, i) => (i + 0.5) * (positions.seq_length || 100) / parts);
  const box = card("Bits per byte by position", { note: positions.seq_length ? "in the longest context" : "in percent of the context" });
  lineChart(box, { x, xName: positions.seq_length ? "position" : "percent", series: positions.series.map((s, i) =>
    ({ name: s.name.replaceAll("_", " "), color: colors[i % colors.length], values: s.values })) });
  return box;
}

// Metrics of later stages (reward, length, kl, ...) get a small chart each.
function otherCards() {
  const known = new Set(["step", "tokens", "loss", "main_loss", "mtp_loss", "balance_loss", "lr", "grad_norm", "tokens_per_second", "max_violation"]);
  return Object.keys(columns).filter((name) => !known.has(name) && has(name)).map((name) => metricCard(name.replaceAll("_", " "), [[name, name, "green"]], { height: 160 }));
}

// How much more (orange) or less (blue) than its fair share an expert gets; v = 1 is fair.
function loadColor(v) {
  const strength = v >= 1 ? Math.min(1, (v - 1) / 1.0) : Math.min(1, (1 - v) / 1.0);
  return `rgba(var(--${v >= 1 ? "over" : "under"}), ${(0.06 + 0.94 * strength).toFixed(3)})`;
}
function loadScale() {
  return el("span", { class: "scale" }, "no tokens", el("i", { style: "background:linear-gradient(90deg, rgb(var(--under)), rgba(var(--under),0.06), rgba(var(--over),0.06), rgb(var(--over)))" }), "twice its share");
}

function expertCard() {
  const experts = data.experts;
  if (!experts || experts.steps.length === 0) return null;
  const frames = experts.load;
  const numExperts = frames[0][0].length;
  let frame = frames.length - 1, layer = 0;
  const caption = el("span", {});
  const slider = el("input", { type: "range", min: 0, max: frames.length - 1, value: frame, "aria-label": "step" });
  const box = card("Load of the experts", { note: "tokens per expert, over the fair share", wide: true, tools: [loadScale(), slider, caption] });
  const dense = numExperts > 64 || experts.layers.length > 24;
  const heat = el("div", { class: dense ? "heat dense" : "heat", style: `grid-template-columns:max-content repeat(${numExperts}, minmax(2px, 1fr))` });
  const rows = experts.layers.map((name, l) => {
    const label = el("div", { class: "label pick", title: "show over time", onclick: () => { layer = l; showTime(); } }, `layer ${name}`);
    const cells = frames[0][l].map(() => el("div", { class: "cell" }));
    heat.append(label, ...cells);
    return { label, cells };
  });
  const stride = Math.max(1, Math.ceil(numExperts / 32));
  heat.append(el("div", { class: "label" }, "expert"), ...Array.from({ length: numExperts }, (_, e) => el("div", { class: "foot" }, e % stride === 0 ? String(e) : "")));
  const wide = numExperts <= 16 && !dense;
  const showFrame = () => {
    caption.textContent = `step ${experts.steps[frame].toLocaleString("en")}`;
    rows.forEach(({ cells }, l) => cells.forEach((cell, e) => {
      const v = frames[frame][l][e];
      cell.style.background = loadColor(v);
      cell.title = `layer ${experts.layers[l]}, expert ${e}: ${v.toFixed(2)} of the fair share`;
      cell.classList.toggle("full", Math.abs(v - 1) > 0.6);
      if (wide) cell.textContent = v.toFixed(2);
    }));
  };
  slider.addEventListener("input", () => { frame = Number(slider.value); showFrame(); });
  box.append(heat);
  const title = el("span", { class: "note" });
  const canvas = el("canvas", { style: `height:${Math.min(260, Math.max(96, numExperts * 9))}px` });
  box.append(el("div", { class: "head", style: "margin-top:14px" }, title), canvas);
  const showTime = () => {
    title.textContent = `Layer ${experts.layers[layer]} from the first step to the last, one row per expert (choose another layer above)`;
    rows.forEach(({ label }, l) => label.classList.toggle("on", l === layer));
    canvas.width = frames.length;
    canvas.height = numExperts;
    const style = getComputedStyle(document.documentElement);
    const rgb = (name) => style.getPropertyValue(name).split(",").map(Number);
    const over = rgb("--over"), under = rgb("--under");
    const image = new ImageData(frames.length, numExperts);
    frames.forEach((f, t) => f[layer].forEach((v, e) => {
      const color = v >= 1 ? over : under;
      image.data.set([...color, 255 * (0.06 + 0.94 * Math.min(1, Math.abs(v - 1)))], 4 * (e * frames.length + t));
    }));
    canvas.getContext("2d").putImageData(image, 0, 0);
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showTime);
  showFrame();
  showTime();
  return box;
}

function needleCard() {
  if (!data.needle || data.needle.length === 0) return null;
  const box = card("Needle in a haystack", { note: "share of needles found again, by length of the text and place in it", wide: true });
  const grids = el("div", { class: "grids" });
  for (const run of data.needle) {
    const heat = el("div", { class: "heat", style: `grid-template-columns:max-content repeat(${run.lengths.length}, minmax(24px, 1fr))` });
    run.depths.forEach((depth, d) => {
      heat.append(el("div", { class: "label" }, `${Math.round(100 * depth)}%`));
      run.scores[d].forEach((v, l) => heat.append(el("div", {
        class: v > 0.5 ? "cell full" : "cell", style: `background:rgba(var(--good), ${(0.08 + 0.85 * v).toFixed(3)})`,
        title: `${run.lengths[l]} tokens, ${Math.round(100 * depth)}% deep: ${Math.round(100 * v)}%`,
      }, run.lengths.length <= 12 ? String(Math.round(100 * v)) : "")));
    });
    heat.append(el("div", { class: "label" }, "tokens"), ...run.lengths.map((n) => el("div", { class: "foot" }, n >= 1024 && n % 1024 === 0 ? `${n / 1024}K` : String(n))));
    grids.append(el("div", {}, el("h3", {}, run.label), heat));
  }
  box.append(grids);
  return box;
}

function sampleCard() {
  const samples = data.samples || [];
  if (samples.length === 0) return null;
  const prompts = [...new Set(samples.map((s) => s.prompt))];
  const list = el("div", {});
  const show = (prompt) => list.replaceChildren(...samples.filter((s) => s.prompt === prompt).map((s) =>
    el("div", { class: "sample" }, el("div", { class: "step" }, `step ${s.step.toLocaleString("en")}`), el("p", {}, el("b", {}, s.prompt), s.text))));
  const choice = el("select", { "aria-label": "prompt" }, ...prompts.map((p) => el("option", { value: p }, p.length > 60 ? p.slice(0, 60) + "..." : p || "(no prompt)")));
  choice.addEventListener("change", () => show(choice.value));
  show(prompts[0]);
  const box = card("What it writes", { note: "the same prompts as training went on", wide: true, tools: prompts.length > 1 ? ["prompt", choice] : [] });
  box.append(list);
  return box;
}

function skippedCard() {
  if (data.skipped.length === 0) return null;
  const box = card("Steps that were not trained on", { wide: true });
  box.append(el("table", {}, ...data.skipped.map((g) => el("tr", {}, el("td", {}, `step ${g.step.toLocaleString("en")}`), el("td", {}, g.reason)))));
  return box;
}

// Options by group; plain values first.
function optionSections(object, title, out) {
  const plain = Object.entries(object).filter(([, v]) => v === null || typeof v !== "object" || Array.isArray(v));
  if (plain.length)
    out.push(el("section", {}, el("h3", {}, title), el("table", {}, ...plain.map(([k, v]) =>
      el("tr", {}, el("td", {}, k), el("td", {}, v === null ? "-" : typeof v === "string" ? v : JSON.stringify(v)))))));
  for (const [k, v] of Object.entries(object))
    if (v !== null && typeof v === "object" && !Array.isArray(v)) optionSections(v, title === "options" ? k : `${title}.${k}`, out);
  return out;
}

function manifestCard() {
  if (!data.manifest) return null;
  const m = data.manifest;
  const box = card("The run", { note: "manifest.json", wide: true });
  const sections = [];
  (m.sessions || []).forEach((s, i) => sections.push(el("section", {}, el("h3", {}, i === 0 ? "started" : `resumed at step ${s.step}`),
    el("table", {}, ...Object.entries({ time: s.time, program: `hadal ${s.hadal.version}, ${s.hadal.git_hash}, ${s.hadal.compiler}, ${s.hadal.build_type}`,
      machine: `${s.machine.host}: ${s.machine.cpu}, ${s.machine.cpus} CPUs, ${(s.machine.memory_bytes / 2 ** 30).toFixed(0)} GiB`,
      threads: s.machine.threads, isa: s.machine.isa, changes: s.option_changes ? s.option_changes.join("; ") : null })
      .filter(([, v]) => v !== null && v !== undefined).map(([k, v]) => el("tr", {}, el("td", {}, k), el("td", {}, String(v))))))));
  for (const key of ["data", "tokenizer"]) if (m[key] && Object.keys(m[key]).length) optionSections(m[key], key, sections);
  optionSections(options, "options", sections);
  if (m.model && Object.keys(m.model).length) optionSections(m.model, "model", sections);
  box.append(el("div", { class: "columns" }, ...sections));
  return box;
}

const charts = [
  metricCard("Learning rate", [["lr", "learning rate", "blue"]], { zero: true, smooth: false }),
  metricCard("Gradient norm", [["grad_norm", "gradient norm", "violet"]], { note: "before clipping", logTool: true }),
  metricCard("Throughput", [["tokens_per_second", "tokens per second", "green"]], { note: "tokens per second", zero: true }),
  metricCard("Overload of the busiest expert", [["max_violation", "max load / mean load - 1", "orange"]], { note: "max load / mean load - 1, worst layer", zero: true }),
  evalCard(), positionCard(), ...otherCards(),
].filter(Boolean);
if (charts.length % 2 === 1) charts[charts.length - 1].classList.add("wide");

root.append(header(), tiles(), el("div", { class: "cards" }, ...[
  metricCard("Loss", has("main_loss")
    ? [["main_loss", "main", "blue"], ["mtp_loss", "MTP, weighted", "orange"], ["balance_loss", "balance, weighted", "violet"]]
    : [["loss", "loss", "blue"]], { note: "nats per token; faint: each step, strong: smoothed", wide: true, height: 300, logTool: true, zero: has("mtp_loss") }),
  ...charts, expertCard(), needleCard(), sampleCard(), skippedCard(), manifestCard(),
].filter(Boolean)), el("footer", {}, `Made by hadal at ${data.made}.`));
