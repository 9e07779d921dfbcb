"use strict";
// What the reader has chosen, and who is told of a change.

const WINDOWS = [60, 120, 240, 480, 960];

// The reader begins with the unit that swings furthest of all.
const first = LAYERS.reduce((best, layer, k) => (layer.swing > LAYERS[best].swing ? k : best), 0);

const state = {
  layer: first,
  quantity: memoryOf(LAYERS[first]),
  unit: LAYERS[first].lively[0],
  mean: false,
  step: firstLetter(Math.min(60, T >> 1)), // far enough in for the model to have a view
  order: "memory", // where it is known; else by number
  flow: FLOWS[first]?.cell ? "cell" : "hidden", // which way back a surprise is followed
  window: { start: 0, end: Math.min(T, 240) },
};

/** The first step from `start` on at which a letter was read; `start` itself if there is none. */
function firstLetter(start) {
  const found = TOKENS.findIndex((token, t) => t >= start && /\p{L}/u.test(token));
  return found < 0 ? start : found;
}

/** Takes over what was chosen, keeps it possible, and redraws what depends on it. */
function choose(change) {
  const before = { ...state };
  Object.assign(state, change);
  const layer = LAYERS[state.layer];
  if (state.quantity !== "surprise" && !layer.quantities[state.quantity]) state.quantity = "hidden";
  const units = unitsToChoose();
  state.unit = Math.max(0, Math.min(units - 1, Math.round(state.unit) || 0));
  state.step = Math.max(0, Math.min(T - 1, state.step));
  followStep(before.step);
  const changed = new Set(Object.keys(state).filter((key) => state[key] !== before[key]));
  if (changed.has("layer")) changed.add("unit");
  redraw(changed);
}

function unitsToChoose() {
  const { quantities } = LAYERS[state.layer];
  return (quantities[state.quantity] ?? quantities.cell ?? quantities.hidden).units;
}

/** Moves the window of the heat maps to where the marked step is, if it has left it. */
function followStep(stepBefore) {
  const { start, end } = state.window;
  if (state.step === stepBefore || (state.step >= start && state.step < end)) return;
  showWindow(state.step - ((end - start) >> 1), end - start);
}

function showWindow(start, size) {
  const first = Math.max(0, Math.min(start, T - size));
  state.window = { start: first, end: Math.min(T, first + size) };
}

const everything = new Set(Object.keys(state));
let accountFound = null, flowFound = false; // what the parts with words of their own have to draw
let pending = new Set();
let frame = 0;

/** Text at once; figures together in the next frame, so that held keys do not pile up work. */
function redraw(changed) {
  const any = (...keys) => keys.some((key) => changed.has(key));
  if (!changed.size) return;
  const shade = shading(state);
  if (any("layer", "quantity", "unit", "mean")) shadeText(shade);
  if (any("step")) markToken(state.step);
  showDetail(state.step, shade, LAYERS[state.layer]);
  showControls();
  if (any("layer", "unit")) showMemory();
  if (any("layer", "unit")) showKicks();
  if (any("layer", "unit", "step")) accountFound = showLedger();
  if (any("layer", "step", "flow")) flowFound = showFlow();
  changed.forEach((key) => pending.add(key));
  delete document.documentElement.dataset.ready;
  cancelAnimationFrame(frame);
  frame = requestAnimationFrame(() => {
    const due = pending;
    pending = new Set();
    drawFigures(due).then(() => {
      if (!pending.size) document.documentElement.dataset.ready = "yes";
    });
  });
}

/** Gives figures the height that they will have, so that nothing moves when they are drawn. */
function reserveRoom() {
  const { figures } = themed();
  const key = LAYERS[state.layer].look;
  const looks = { strips: figures.strips[key], next: figures.next, saturation: figures.saturation[key],
                  memory: figures.memory[key], ledger: figures.ledger, kicks: figures.kicks[key],
                  flow: figures.flow, "flow-lines": figures.flow_lines[key] };
  for (const [id, { layout }] of Object.entries(looks)) byId(id).style.height = `${layout.height}px`;
}

function drawFigures(changed) {
  const any = (...keys) => keys.some((key) => changed.has(key));
  const drawn = [];
  if (any("layer", "window", "order")) drawn.push(...drawHeatmaps());
  else if (any("unit", "step")) drawn.push(...heatmapDivs().map(moveFrames));
  if (any("layer", "window", "unit")) drawn.push(drawStrips(state, choose));
  else if (any("step")) drawn.push(Plotly.relayout("strips", { shapes: frames(state) }));
  if (any("step")) drawn.push(drawNext(state, choose));
  if (any("layer", "unit")) drawn.push(drawSaturation(state, choose), drawMemory(state, choose), drawKicks());
  if (any("layer", "unit", "step")) drawn.push(drawLedger(accountFound, choose));
  if (flowFound && any("layer", "flow")) drawn.push(drawFlowMap());
  else if (flowFound && any("step")) drawn.push(Plotly.relayout("flow", { shapes: flowFrames() }));
  if (flowFound && any("layer", "step")) drawn.push(drawFlowLines());
  return Promise.all(drawn);
}

// What the reader does

function listen() {
  byId("layer").append(...LAYERS.map(({ name }, k) => new Option(name, k)));
  byId("layer").addEventListener("change", (event) => {
    const layer = Number(event.target.value);
    choose({ layer, unit: LAYERS[layer].lively[0] });
  });
  byId("quantities").addEventListener("change", (event) => choose({ quantity: event.target.value }));
  byId("unit").addEventListener("change", (event) =>
    choose({ unit: Number(event.target.value), mean: false }));
  byId("previous-unit").addEventListener("click", () => choose({ unit: state.unit - 1, mean: false }));
  byId("next-unit").addEventListener("click", () => choose({ unit: state.unit + 1, mean: false }));
  byId("mean").addEventListener("change", (event) => choose({ mean: event.target.checked }));
  byId("order").addEventListener("change", (event) => choose({ order: event.target.value }));
  byId("flow-of").addEventListener("change", (event) => choose({ flow: event.target.value }));
  document.addEventListener("click", (event) => {
    const step = event.target.closest?.(".brief [data-t]")?.dataset.t ?? event.target.closest?.("button[data-step]")?.dataset.step;
    if (step !== undefined) choose({ step: Number(step) });
    const unit = event.target.closest?.("button[data-unit]")?.dataset.unit;
    if (unit === undefined) return;
    const isSurprise = state.quantity === "surprise";
    const quantity = isSurprise ? memoryOf(LAYERS[state.layer]) : state.quantity;
    choose({ unit: Number(unit), quantity, mean: false });
  });
  listenToText();
  listenToWindow();
  const redrawAll = () => redraw(everything);
  darkPaper.addEventListener("change", redrawAll);
  window.addEventListener("beforeprint", () => { printing = true; drawFigures(everything); });
  window.addEventListener("afterprint", () => { printing = false; drawFigures(everything); });
}

function listenToText() {
  const stepOf = (event) => event.target.closest("[data-t]")?.dataset.t;
  const detail = (t) => showDetail(t, shading(state), LAYERS[state.layer]);
  text.addEventListener("click", (event) => {
    const t = stepOf(event);
    if (t !== undefined) choose({ step: Number(t) });
  });
  text.addEventListener("pointerover", (event) => {
    const t = stepOf(event);
    if (t !== undefined) detail(Number(t));
  });
  text.addEventListener("pointerleave", () => detail(state.step));
  const boxes = { text: () => state.step, "ledger-text": () => state.step,
                  "flow-text": () => FLOW.start + followed() };
  for (const [id, at] of Object.entries(boxes)) listenToKeys(byId(id), at);
}

/** Arrow keys in a box of text move the marked token, from the one that the box marks. */
function listenToKeys(box, at) {
  box.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: -1, ArrowRight: 1, PageUp: -50, PageDown: 50, Home: -T, End: T };
    if (!(event.key in moves)) return;
    event.preventDefault();
    choose({ step: at() + moves[event.key] });
    bringIntoView(state.step);
    const shade = shading(state);
    byId("announcement").textContent =
      `${visible(TOKENS[state.step])}, ${shade.label} ${number(shade.values[state.step])}`;
  });
}

function listenToWindow() {
  const sizes = WINDOWS.filter((size) => size < T);
  byId("window-size").append(...sizes.map((n) => new Option(`${n} steps`, n)), new Option("all", T));
  byId("window-size").value = state.window.end - state.window.start;
  const show = (start, size) => {
    const before = state.window;
    showWindow(start, size);
    if (before.start !== state.window.start || before.end !== state.window.end) {
      redraw(new Set(["window"]));
    }
  };
  const size = () => state.window.end - state.window.start;
  byId("window-size").addEventListener("change", (event) =>
    show(state.window.start, Number(event.target.value)));
  byId("earlier").addEventListener("click", () => show(state.window.start - size(), size()));
  byId("later").addEventListener("click", () => show(state.window.start + size(), size()));
}

if (PAGE.text.total > T) {
  byId("notice").hidden = false;
  byId("notice").textContent =
    `The page shows the first ${T.toLocaleString("en")} of ${PAGE.text.total.toLocaleString("en")} ` +
    `${PAGE.token}s. Saturation, memory and bits are over all of them.`;
}
reserveRoom();
listen();
redraw(everything);
document.documentElement.dataset.begun = "yes"; // what is seen from here on keeps its place
