"use strict";
// The gradient of surprise: the window's text shaded, lines by distance, and the map of all pairs.

const FLOW_DECADES = 4; // of the shades: from the strongest down to a ten-thousandth

const flowSpans = once(() => {
  const spans = TOKENS.slice(FLOW.start, FLOW.start + FLOW.steps).map((token, t) => {
    const span = document.createElement("span");
    span.dataset.t = FLOW.start + t;
    writeToken(span, token);
    return span;
  });
  byId("flow-text").append(...spans);
  return spans;
});

const stepWords = (t) => `“${visible(TOKENS[t])}” at step ${t.toLocaleString("en")}`;

function waysShown() {
  return themed().figures.flow_ways[LAYERS[state.layer].look];
}

function showFlow() {
  byId("flow-section").hidden = !PAGE.flow;
  if (!PAGE.flow) return false;
  const norms = FLOWS[state.layer];
  byId("flow-absent").hidden = !!norms;
  byId("flow-body").hidden = !norms;
  if (!norms) {
    byId("flow-absent").textContent = PAGE.flow.reason ?? "Of this layer no gradients were found.";
    return false;
  }
  offerWays(norms);
  shadeFlow(norms);
  tellFlow(norms);
  return true;
}

function offerWays(norms) {
  const ways = Object.entries(waysShown()).filter(([way]) => norms[way]);
  if (byId("flow-of").dataset.offered === LAYERS[state.layer].look) return;
  byId("flow-of").dataset.offered = LAYERS[state.layer].look;
  byId("flow-of").replaceChildren(...ways.map(([way, { label: words }]) => new Option(words, way)));
  if (!norms[state.flow]) state.flow = ways[0][0];
  byId("flow-of").value = state.flow;
}

/** From 0, a ten-thousandth of the strongest or less, to 1. */
function flowStrength(value, most) {
  return Math.max(0, 1 + Math.log10(value / most) / FLOW_DECADES) || 0;
}

function shadeFlow(norms) {
  const s = followed();
  const row = norms[state.flow].row(s);
  const most = row.reduce((m, v) => Math.max(m, v), 0) || 1;
  const colour = `var(--${waysShown()[state.flow].own})`;
  byId("flow-text").style.setProperty("--shade", colour);
  flowSpans().forEach((span, t) => {
    span.style.setProperty("--a", t < s ? flowStrength(row[t], most).toFixed(3) : 0);
    span.classList.toggle("marked", t === s);
    span.title = t < s ? `${row[t].toPrecision(3)} bits per unit of the state` : "";
  });
  byId("flow-scale").style.background =
    `linear-gradient(90deg, transparent, color-mix(in srgb, ${colour} 66%, transparent))`;
  byId("flow-high").textContent = `the most (${most.toPrecision(2)})`;
  scrollWithin(byId("flow-text"), flowSpans()[s]);
}

function tellFlow(norms) {
  const s = followed(), at = FLOW.start + s, { token } = PAGE;
  const whole = norms.cell ?? norms.hidden;
  const row = whole.row(s);
  const most = row.reduce((best, v, t) => (v > row[best] ? t : best), 0);
  const why = isMarkedInWindow() ? ""
    : `The marked ${token} is outside this window; shown is the window’s greatest surprise. `;
  const reach = reachOf(row);
  const far = reach === row.length ? "to the window’s beginning" : `${reach} ${token}${reach === 1 ? "" : "s"} back`;
  const name = norms.cell ? "cells" : "hidden state";
  byId("flow-told").textContent =
    `${why}The surprise at ${stepWords(at)} was ${number(SURPRISE[at], 1)} bits. It hangs most on this layer’s ` +
    `${name} after ${stepWords(FLOW.start + most)}; more than a hundredth of what arrives one step back reaches ${far}.`;
  const end = FLOW.start + FLOW.steps - 1;
  byId("flow-offers").replaceChildren(
    FLOW.steps < T
      ? `The window: steps ${FLOW.start.toLocaleString("en")} to ${end.toLocaleString("en")}, around the greatest surprise.`
      : "The window: the whole text.",
    ...greatest().map((t) => {
      const button = document.createElement("button");
      button.type = "button";
      button.dataset.step = t;
      button.setAttribute("aria-pressed", t === at);
      button.textContent = `${visible(TOKENS[t])}: ${number(SURPRISE[t], 1)} bits`;
      return button;
    }),
  );
}

/** The window's most surprising tokens, in their order. */
const greatest = once(() => range(FLOW.start + 1, FLOW.start + FLOW.steps)
  .sort((a, b) => SURPRISE[b] - SURPRISE[a]).slice(0, 6).sort((a, b) => a - b));

function drawFlowLines() {
  const norms = FLOWS[state.layer];
  const s = followed();
  const figure = look("flow_lines", LAYERS[state.layer].look);
  const back = range(1, s + 1);
  let most = 0;
  for (const line of figure.data) {
    const row = norms[line.meta].row(s);
    line.x = back;
    line.y = back.map((d) => row[s - d] || null); // 0 has no place on a log scale
    line.customdata = back.map((d) => `${d} back, <b>${label(TOKENS[FLOW.start + s - d])}</b>`);
    most = row.reduce((m, v) => Math.max(m, v), most);
  }
  const least = Math.min(...figure.data[0].y.filter((v) => v > most * 1e-12), most / 100);
  const bottom = Math.log10(least || 0.01) - 0.3, top = Math.log10(most || 1) + 0.3;
  Object.assign(figure.layout.yaxis, { range: [bottom, top], dtick: Math.ceil((top - bottom) / 8) });
  return draw("flow-lines", figure, (point) => choose({ step: FLOW.start + followed() - point.x }));
}

function drawFlowMap() {
  const norms = FLOWS[state.layer][state.flow];
  const figure = look("flow");
  const W = FLOW.steps, most = norms.most();
  const [heatmap] = figure.data;
  const steps = range(FLOW.start, FLOW.start + W);
  const rows = range(1, W).map((s) => norms.row(s));
  const words = steps.map((t) => `${t} ${label(TOKENS[t])}`);
  heatmap.x = steps.slice(0, -1);
  heatmap.y = steps.slice(1);
  heatmap.z = rows.map((row) => range(0, W - 1).map((t) =>
    t < row.length ? Math.max(-FLOW_DECADES, Math.log10(row[t] / most)) : null));
  heatmap.customdata = rows.map((row) => Array.from(row));
  heatmap.text = rows.map((row, k) => Array.from(row, (_, t) => `surprise at ${words[k + 1]}<br>state after ${words[t]}`));
  heatmap.colorscale[1][1] = waysShown()[state.flow].colour;
  figure.layout.shapes = flowFrames();
  return draw("flow", figure, (point) => choose({ step: point.y }));
}

function flowFrames() {
  const y = FLOW.start + followed(), line = { color: themed().colours.accent, width: 1.5 };
  return [{ type: "rect", line, x0: FLOW.start - 0.5, x1: y - 0.5, y0: y - 0.5, y1: y + 0.5 }];
}
