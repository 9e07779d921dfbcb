"use strict";
// The figures: their looks come from the page's data, their numbers from the layer chosen.

const CONFIG = { displayModeBar: false, responsive: true, doubleClick: "reset" };
const darkPaper = window.matchMedia("(prefers-color-scheme: dark)");
let printing = false;

function themed() {
  return PAGE.themes[darkPaper.matches && !printing ? "dark" : "light"];
}

/** A fresh copy of a figure's look. */
function look(name, key) {
  const found = themed().figures[name];
  return structuredClone(key === undefined ? found : found[key]);
}

async function draw(id, { data, layout }, onClick) {
  const div = typeof id === "string" ? byId(id) : id;
  div.style.height = `${layout.height}px`; // a figure that resizes itself asks its element
  await Plotly.react(div, data, layout, CONFIG);
  if (!div.dataset.drawn) div.on("plotly_click", (event) => onClick(event.points[0]));
  div.dataset.drawn = "yes";
}

function range(start, end) {
  return Array.from({ length: end - start }, (_, k) => start + k);
}

/** Tokens on the step axis where there is room for them, numbers elsewhere. */
function stepTicks(div, start, end) {
  const room = div.clientWidth - 90;
  if (room / (end - start) < 13) return { tickmode: "auto", tickvals: null, ticktext: null };
  const longest = Math.max(2, Math.floor(room / (end - start) / 8));
  const steps = range(Math.max(0, start), Math.min(T, end));
  return { tickmode: "array", tickvals: steps, tickangle: 0,
           ticktext: steps.map((t) => label([...TOKENS[t]].slice(0, longest).join(""))) };
}

/**
 * Marks the chosen step and, in a figure with a row a unit, the chosen unit: pointers at the edges
 * and a hairline that hides as little as it can.
 */
function frames(state, rows) {
  const colour = themed().colours.accent;
  const hairline = { type: "line", line: { color: colour, width: 1 }, opacity: 0.45 };
  const pointer = { type: "line", line: { color: colour, width: 4 } };
  const step = { xref: "x", yref: "paper", x0: state.step, x1: state.step };
  const marks = [{ ...hairline, ...step, y0: 0, y1: 1 }, { ...pointer, ...step, y0: 1, y1: 1.03 }];
  const row = rows ? rows.indexOf(state.unit) : -1;
  if (row >= 0) {
    const unit = { xref: "paper", yref: "y", y0: row, y1: row };
    marks.push({ ...hairline, ...unit, x0: 0, x1: 1 }, { ...pointer, ...unit, x0: -0.008, x1: 0 });
  }
  return marks;
}

function unitOrder(state, quantity) {
  const { memory } = LAYERS[state.layer];
  const byMemory = state.order === "memory" && memory.length === quantity.units;
  return byMemory ? memory.map(([unit]) => unit) : range(0, quantity.units);
}

/** Rows of values; those without bounds are coloured by their tanh and told as they are. */
function setValues(heatmap, quantity, rows) {
  heatmap.z = quantity.isUnbounded ? rows.map((row) => row.map(Math.tanh)) : rows;
  if (quantity.isUnbounded) heatmap.customdata = rows;
}

function timeAxis(div, figure, state) {
  const { start, end } = state.window;
  Object.assign(figure.layout.xaxis, { range: [start - 0.5, end - 0.5], ...stepTicks(div, start, end) });
}

function drawHeatmap(div, name, state, choose) {
  const quantity = LAYERS[state.layer].quantities[name];
  const { start, end } = state.window;
  const figure = look("heatmap", name);
  const order = unitOrder(state, quantity);
  const tokens = TOKENS.slice(start, end).map(label);
  const [heatmap] = figure.data;
  heatmap.x = range(start, end);
  heatmap.y = order.map(String);
  setValues(heatmap, quantity, order.map((unit) => quantity.row(unit, start, end)));
  heatmap.text = order.map(() => tokens);
  if (!quantity.isGate && !quantity.isUnbounded) {
    const m = quantity.limit, most = twoDigits(m);
    Object.assign(heatmap, { zmin: -m, zmax: m });
    Object.assign(heatmap.colorbar, { tickvals: [-m, 0, m], ticktext: [`−${most}`, "0", most] });
  }
  timeAxis(div, figure, state);
  figure.layout.height = div.classList.contains("tall") ? 300 : 230;
  figure.layout.margin = { l: 48, r: 8, t: 6, b: 38 };
  figure.layout.shapes = frames(state, order);
  return draw(div, figure, (point) =>
    choose({ unit: Number(point.y), quantity: name, step: point.x, mean: false }));
}

function drawStrips(state, choose) {
  const layer = LAYERS[state.layer];
  const { start, end } = state.window;
  const figure = look("strips", layer.look);
  const tokens = [TOKENS.slice(start, end).map(label)];
  for (const strip of figure.data) {
    const quantity = layer.quantities[strip.name];
    const values = quantity.row(state.unit, start, end);
    Object.assign(strip, { x: range(start, end), text: tokens });
    setValues(strip, quantity, [values]);
    if (!quantity.isGate && !quantity.isUnbounded) {
      // Over the whole text, so that a strip keeps its colours from window to window.
      const m = quantity.row(state.unit).reduce((most, v) => Math.max(most, Math.abs(v) || 0), 1e-6);
      Object.assign(strip, { zmin: -m, zmax: m });
    }
  }
  const div = byId("strips");
  timeAxis(div, figure, state);
  figure.layout.shapes = frames(state);
  return draw(div, figure, (point) =>
    choose({ quantity: point.data.name, step: point.x, mean: false }));
}

function drawNext(state, choose) {
  const div = byId("next");
  const longestToken = Math.max(1, ...TOKENS.slice(state.step, state.step + 40).map((token) => short(token).length));
  const columns = Math.max(8, Math.floor((div.clientWidth - 72) / Math.max(34, 9 * longestToken + 10)));
  const start = Math.max(0, Math.min(state.step - (columns >> 1), T - columns));
  const steps = range(start, Math.min(T, start + columns));
  const guesses = steps.map(guessesAfter); // per step, likeliest first
  const ranks = range(0, GUESSES.k);
  const figure = look("next");
  const [heatmap] = figure.data;
  const longest = Math.floor(((div.clientWidth - 72) / steps.length - 4) / 8);
  const cut = (token) => label([...visible(token)].slice(0, Math.max(2, longest)).join(""));
  heatmap.x = steps;
  heatmap.y = ranks.map((k) => String(k + 1));
  heatmap.z = ranks.map((k) => guesses.map((row) => row[k].probability));
  heatmap.text = ranks.map((k) => guesses.map((row) => cut(row[k].token)));
  Object.assign(figure.layout.xaxis, { tickmode: "array", tickvals: steps,
    ticktext: steps.map((t) => (t === state.step ? `<b>${cut(TOKENS[t])}</b>` : cut(TOKENS[t]))) });
  const line = { color: themed().colours.accent, width: 1.6 };
  figure.layout.shapes = steps.flatMap((t, n) => {
    const k = guesses[n].findIndex((guess) => guess.came);
    return k < 0 ? [] : [{ type: "rect", line, x0: t - 0.46, x1: t + 0.46, y0: k - 0.45, y1: k + 0.45 }];
  });
  figure.layout.shapes.push({ type: "rect", layer: "below", yref: "paper", line: { width: 0 },
    fillcolor: themed().colours.line, x0: state.step - 0.5, x1: state.step + 0.5, y0: 1.01, y1: 1.15 });
  return draw(div, figure, (point) => choose({ step: point.x }));
}

function drawSaturation(state, choose) {
  const layer = LAYERS[state.layer];
  const gates = Object.entries(layer.saturation);
  if (!gates.length) return Promise.resolve();
  const figure = look("saturation", layer.look);
  gates.forEach(([name, { left, right }], k) => {
    const all = figure.data[2 * k], chosen = figure.data[2 * k + 1];
    Object.assign(all, { x: left, y: right, customdata: range(0, left.length), name });
    Object.assign(chosen, { x: [left[state.unit]], y: [right[state.unit]],
                            customdata: [state.unit], name });
  });
  return draw("saturation", figure, (point) =>
    choose({ unit: point.customdata, quantity: point.data.name, mean: false }));
}

function drawMemory(state, choose) {
  const layer = LAYERS[state.layer];
  if (!layer.memory.length) return Promise.resolve();
  const figure = look("memory", layer.look);
  const finite = layer.memory.map(([, steps]) => steps).filter((steps) => steps !== null);
  const endless = 2 * Math.max(1, ...finite); // a bar without an end still has to end somewhere
  const [all, chosen] = figure.data;
  figure.layout.xaxis.nticks = Math.max(4, Math.min(24, Math.floor(byId("memory").clientWidth / 44)));
  all.x = layer.memory.map(([unit]) => String(unit));
  all.y = layer.memory.map(([, steps]) => steps ?? endless);
  all.text = layer.memory.map(([, steps]) => (steps === null ? "∞" : steps.toPrecision(3)));
  const at = all.x.indexOf(String(state.unit));
  if (at >= 0) Object.assign(chosen, { x: [all.x[at]], y: [all.y[at]], text: [all.text[at]] });
  return draw("memory", figure, (point) => {
    const quantity = state.quantity === "surprise" ? memoryOf(layer) : state.quantity;
    choose({ unit: Number(point.x), quantity, mean: false });
  });
}
