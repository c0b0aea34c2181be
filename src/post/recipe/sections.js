// The report of a recipe, from top to bottom (post/recipe/summary.h says what the data hold).
const percent = (x) => `${(100 * x).toFixed(1)}%`;
const evaluations = data.evaluations;
const classes = evaluations.length ? Object.keys(evaluations[0].figures).filter((name) => name !== "all") : [];

function header() {
  return el("header", {}, el("h1", {}, data.name), el("div", { class: "sub" }, data.about),
    el("div", { class: "sub" }, [`seed ${data.seed}`, `${data.stages.length} stages`, duration(data.seconds),
      `${duration(data.cpu_seconds)} of CPU time`].join("  \u00b7  ")));
}

function row(...cells) {
  return el("tr", {}, ...cells.map((cell) => cell instanceof Node ? cell : el("td", {}, cell)));
}

// A share with its interval as a bar behind the number.
function shareCell(f) {
  if (!f) return el("td", {}, "-");
  if (f.reward_model !== undefined) return el("td", {}, `score ${f.reward_model.toFixed(2)}`);
  const shade = `linear-gradient(90deg, rgba(var(--good), 0.22) ${100 * f.accuracy}%, transparent 0)`;
  return el("td", { style: `background:${shade}` }, percent(f.accuracy), el("span", { class: "sub" }, `  ${(100 * f.low).toFixed(0)}-${(100 * f.high).toFixed(0)}`));
}

function evaluationCard() {
  const box = card("Held-out questions, model by model", { wide: true, note: "accuracy with its 95% interval; form and language of all answers" });
  const head = ["model", ...classes, "format", "language", "tokens", "reflective words"];
  box.append(el("table", {}, el("tr", {}, ...head.map((name) => el("th", {}, name))), ...evaluations.map((e) => {
    const all = e.figures.all;
    return row(e.title, ...classes.map((name) => shareCell(e.figures[name])), all.format === undefined ? "-" : percent(all.format),
      all.language === undefined ? "-" : percent(all.language), all.mean_tokens.toFixed(1), all.reflective_words.toFixed(2));
  })));
  return box;
}

// Greedy answers around each stage of reinforcement learning.
function gainCard() {
  const stages = data.stages.filter((s) => s.greedy && Object.keys(s.greedy).length);
  if (stages.length === 0) return null;
  const box = card("Greedy answers, before and after reinforcement learning", { wide: true, note: "accuracy on held-out questions" });
  const names = Object.keys(stages[0].greedy);
  box.append(el("table", {}, el("tr", {}, ...["stage", ...names].map((name) => el("th", {}, name))), ...stages.map((s) =>
    row(s.title || s.name, ...names.map((name) => (s.greedy[name] ? s.greedy[name].map(percent).join(" \u2192 ") : "-"))))));
  return box;
}

function stageCard() {
  const box = card("Stages", { wide: true });
  box.append(el("table", {}, el("tr", {}, ...["stage", "verb", "what", "time", "CPU time"].map((name) => el("th", {}, name))),
    ...data.stages.map((s) => row(s.name, s.verb, s.about, duration(s.seconds), duration(s.cpu_seconds)))));
  return box;
}

const curveNames = [["reward", "reward", "blue"], ["accuracy", "accuracy of the sampled answers", "green"], ["length", "tokens of an answer", "violet"],
  ["reflective_words", "reflective words of an answer", "orange"], ["entropy", "entropy, nats a token", "red"],
  ["reward_language", "reasoning in the language of the question", "blue"]];

function learningCards() {
  return data.learning.flatMap((stage) => curveNames.filter(([key]) => stage.curves[key]).map(([key, label, color]) => {
    const box = card(`${stage.title}: ${label}`);
    const values = stage.curves[key];
    lineChart(box, { x: stage.curves.step, height: 160, series: [{ name: label, color, values: smoothed(values, Math.max(2, values.length / 25)), raw: values }] });
    return box;
  }));
}

function answersCard() {
  const box = card("The same questions to all", { wide: true, note: "reasoning grey, then the answer" });
  for (const q of data.questions)
    box.append(el("div", { class: "sample" }, el("span", { class: "step" }, q.question), el("div", {}, ...q.answers.map((a) =>
      el("p", {}, `${a.model} ${a.correct ? "\u2713" : "\u2717"}  `, el("b", {}, a.reasoning), `  ${a.answer}`)))));
  return box;
}

const cards = el("div", { class: "cards" });
if (evaluations.length) cards.append(evaluationCard());
const gains = gainCard();
if (gains) cards.append(gains);
cards.append(...learningCards());
if (data.questions.length) cards.append(answersCard());
cards.append(stageCard());
root.append(header(), cards);
