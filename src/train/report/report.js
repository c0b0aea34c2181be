"use strict";
// Draws the report from the JSON of the page: what each part holds is said in train/report.h.
const data = JSON.parse(document.getElementById("data").textContent);
const root = document.getElementById("report");
root.textContent = "";

function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "style") node.style.cssText = value;
    else node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}
function svg(tag, attributes = {}, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

function short(x) {
  if (x === null || x === undefined) return "-";
  if (typeof x !== "number") return String(x);
  const a = Math.abs(x);
  if (a !== 0 && (a < 1e-3 || a >= 1e15)) return x.toExponential(2).replace("e+", "e");
  for (const [size, unit] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e4, "k"]])
    if (a >= size) return (x / (unit === "k" ? 1e3 : size)).toPrecision(3) + unit;
  if (Number.isInteger(x)) return String(x);
  return a >= 100 ? x.toFixed(0) : x.toPrecision(a >= 1 ? 4 : 3);
}
function duration(seconds) {
  const s = Math.round(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  return `${Math.floor(s / 3600)} h ${Math.floor((s / 60) % 60)} min`;
}
const last = (values) => values.findLast((v) => v !== null);

// A number on an axis whose largest is `top`: as few digits as it has.
function tickText(t, top) {
  const v = Number(t.toPrecision(10));
  if (v === 0) return "0";
  if (Math.abs(top) < 1e-3) return v.toExponential().replace("e+", "e");
  return Math.abs(v) >= 1e4 ? short(v).replace(/\.0+(?=\D|$)/, "") : String(v);
}

// Ticks at 1, 2 or 5 times a power of ten; in a logarithmic scale at the powers, and between them when few.
function ticks(low, high, count) {
  const raw = (high - low) / Math.max(count, 1) || 1;
  const power = Math.pow(10, Math.floor(Math.log10(raw)));
  const step = power * [1, 2, 5, 10].find((m) => m * power >= raw * 0.999);
  const result = [];
  for (let t = Math.ceil(low / step - 1e-9) * step; t <= high + step * 1e-9; t += step) result.push(Math.abs(t) < step * 1e-9 ? 0 : t);
  return result;
}
function logTicks(low, high) {
  const result = [];
  const decades = Math.log10(high / low);
  const steps = decades > 3 ? [1] : decades > 1 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9];
  for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); ++e)
    for (const m of steps) {
      const t = m * Math.pow(10, e);
      if (t >= low * 0.999 && t <= high * 1.001) result.push(t);
    }
  return result;
}

// Mean over `span` points around each one, weighted by a triangle; unlike a running average it does not lag behind.
function smoothed(values, span) {
  const reach = Math.max(1, Math.round(span / 2));
  return values.map((v, i) => {
    let sum = 0, weight = 0;
    for (let j = Math.max(0, i - reach); j <= Math.min(values.length - 1, i + reach); ++j) {
      if (values[j] === null) continue;
      const w = reach + 1 - Math.abs(i - j);
      sum += w * values[j];
      weight += w;
    }
    return weight > 0 ? sum / weight : null;
  });
}

function card(title, { note = "", wide = false, tools = [] } = {}) {
  const box = el("section", { class: wide ? "card wide" : "card" });
  box.append(el("div", { class: "head" }, el("h2", {}, title), el("span", { class: "note" }, note),
    el("span", { class: "tools" }, ...tools)));
  return box;
}
function toggle(label, on, change) {
  const button = el("button", { class: on ? "on" : "", type: "button" }, label);
  button.addEventListener("click", () => {
    on = !on;
    button.className = on ? "on" : "";
    change(on);
  });
  return button;
}

// A line chart. series: [{name, color, values, raw?}] over x; raw values are drawn faintly behind.
function lineChart(box, { x, series, height = 210, log = false, zero = false, marks = [], extra = null, xName = "step" }) {
  const holder = el("div", { class: "chart" });
  const tip = el("div", { class: "tip" });
  box.append(holder);
  if (series.length > 1)
    box.append(el("div", { class: "head", style: "margin:6px 0 0" }, ...series.map((s) => el("span", { class: "key", style: `--c:var(--${s.color})` }, s.name))));
  const draw = () => {
    const width = holder.clientWidth;
    if (width === 0) return;
    const margin = { left: 46, right: 10, top: 8, bottom: 22 };
    const all = series.flatMap((s) => s.values.concat(s.raw || [])).filter((v) => v !== null && (!log || v > 0));
    if (all.length === 0) return;
    all.sort((a, b) => a - b);
    // The very first steps would flatten the rest: leave the highest hundredth outside unless it is near.
    let low = all[0], high = all[all.length - 1];
    const typical = all[Math.min(all.length - 1, Math.floor(all.length * 0.995))];
    if (!log && high > typical + 2 * (typical - low)) high = typical;
    if (zero) low = Math.min(low, 0);
    if (low === high) { low -= Math.abs(low) * 0.1 || 1; high += Math.abs(high) * 0.1 || 1; }
    if (!log && !(zero && low === 0)) low -= (high - low) * 0.04;
    if (!log) high += (high - low) * 0.04;
    const x0 = x[0], x1 = x[x.length - 1];
    const place = (v) => log ? Math.log(Math.max(v, low) / low) / Math.log(high / low) : (v - low) / (high - low);
    const px = (v) => margin.left + (x1 === x0 ? 0.5 : (v - x0) / (x1 - x0)) * (width - margin.left - margin.right);
    const py = (v) => margin.top + (1 - place(v)) * (height - margin.top - margin.bottom);
    const clip = "c" + Math.random().toString(36).slice(2);
    const image = svg("svg", { viewBox: `0 0 ${width} ${height}`, height });
    const clipPath = svg("clipPath", { id: clip });
    clipPath.append(svg("rect", { x: margin.left, y: 0, width: width - margin.left - margin.right, height: height - margin.bottom }));
    image.append(clipPath);
    for (const t of log ? logTicks(low, high) : ticks(low, high, Math.max(2, height / 45))) {
      image.append(svg("line", { class: "grid", x1: margin.left, x2: width - margin.right, y1: py(t), y2: py(t) }));
      image.append(svg("text", { x: margin.left - 8, y: py(t) + 4, "text-anchor": "end" }, tickText(t, high)));
    }
    for (const t of ticks(x0, x1, Math.max(2, width / 110)))
      image.append(svg("text", { x: px(t), y: height - 5, "text-anchor": "middle" }, tickText(t, x1)));
    image.append(svg("line", { class: "axis", x1: margin.left, x2: width - margin.right, y1: height - margin.bottom, y2: height - margin.bottom }));
    const path = (values) => {
      let d = "", pen = "M";
      values.forEach((v, i) => {
        if (v === null || (log && v <= 0)) { pen = "M"; return; }
        d += `${pen}${px(x[i]).toFixed(1)} ${py(v).toFixed(1)}`;
        pen = "L";
      });
      return d;
    };
    const plot = svg("g", { "clip-path": `url(#${clip})` });
    for (const s of series)
      if (s.raw) plot.append(svg("path", { d: path(s.raw), fill: "none", stroke: `var(--${s.color})`, "stroke-width": 1, opacity: 0.28 }));
    for (const s of [...series].reverse())
      plot.append(svg("path", { d: path(s.values), fill: "none", stroke: `var(--${s.color})`, "stroke-width": s.width || 1.8, "stroke-linejoin": "round" }));
    for (const m of marks)
      plot.append(svg("line", { x1: px(m), x2: px(m), y1: margin.top, y2: height - margin.bottom, stroke: "var(--red)", "stroke-dasharray": "2 3" }));
    image.append(plot);
    const cross = svg("line", { class: "cross", y1: margin.top, y2: height - margin.bottom, visibility: "hidden" });
    image.append(cross);
    image.addEventListener("pointermove", (event) => {
      const at = x0 + ((event.clientX - image.getBoundingClientRect().left) * (width / image.clientWidth || 1) - margin.left) / (width - margin.left - margin.right) * (x1 - x0);
      let low_ = 0, high_ = x.length - 1;
      while (high_ - low_ > 1) { const mid = (low_ + high_) >> 1; if (x[mid] > at) high_ = mid; else low_ = mid; }
      const i = Math.abs(x[low_] - at) < Math.abs(x[high_] - at) ? low_ : high_;
      cross.setAttribute("x1", px(x[i]));
      cross.setAttribute("x2", px(x[i]));
      cross.setAttribute("visibility", "visible");
      tip.replaceChildren(el("div", {}, `${xName} ${x[i].toLocaleString("en")}`, extra ? el("span", { class: "sub" }, "  " + extra(i)) : null),
        ...series.map((s) => el("div", { class: "key", style: `--c:var(--${s.color})` }, s.name, el("b", {}, short(s.raw ? s.raw[i] : s.values[i])))));
      tip.style.opacity = 1;
      const right = px(x[i]) + 14 + tip.offsetWidth > width;
      tip.style.left = `${right ? px(x[i]) - tip.offsetWidth - 14 : px(x[i]) + 14}px`;
      tip.style.top = `${margin.top}px`;
    });
    image.addEventListener("pointerleave", () => { tip.style.opacity = 0; cross.setAttribute("visibility", "hidden"); });
    holder.replaceChildren(image, tip);
  };
  new ResizeObserver(draw).observe(holder);
  return { setLog: (on) => { log = on; draw(); }, draw };
}
