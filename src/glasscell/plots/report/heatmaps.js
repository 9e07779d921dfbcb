"use strict";
// The heat maps: one for each quantity of the layer, states across the whole page.

const heatmapDivs = () => [...document.querySelectorAll("#heatmaps .figure")];

function moveFrames(div) {
  const quantity = LAYERS[state.layer].quantities[div.dataset.quantity];
  return Plotly.relayout(div, { shapes: frames(state, unitOrder(state, quantity)) });
}

function drawHeatmaps() {
  const { quantities } = LAYERS[state.layer];
  const names = Object.keys(quantities);
  const states = names.filter((name) => name === "cell" || name === "hidden");
  const gates = names.filter((name) => !states.includes(name));
  const order = [...states.slice(0, 1), ...gates, ...states.slice(1)];
  if (heatmapDivs().map((div) => div.dataset.quantity).join() !== order.join()) {
    heatmapDivs().forEach((div) => Plotly.purge(div));
    byId("heatmaps").replaceChildren(...order.map((name) => {
      const alone = gates.length % 2 === 1 && name === gates.at(-1);
      return heatmapCard(name, states.includes(name) || alone, name === order[0]);
    }));
  }
  zoomed = "";
  return heatmapDivs().map((div) =>
    drawHeatmap(div, div.dataset.quantity, state, choose).then(() => followZoom(div)));
}

function heatmapCard(name, isWide, isTall) {
  const { label, meaning } = PAGE.quantities[name];
  const { letter } = LAYERS[state.layer].quantities[name];
  const card = document.createElement("div");
  card.className = isWide ? "card wide" : "card";
  card.style.setProperty("--own", `var(--${name}, var(--muted))`);
  const heading = document.createElement("h3");
  const parts = [["b", letter], ["span", label], ["small", meaning]];
  heading.append(...parts.map(([tag, words]) => {
    const part = document.createElement(tag);
    part.textContent = words;
    return part;
  }));
  const div = document.createElement("div");
  div.className = isTall ? "figure tall" : "figure";
  div.dataset.quantity = name;
  div.setAttribute("role", "img");
  div.setAttribute("aria-label", `${label}: a row a unit, a column a step`);
  card.append(heading, div);
  return card;
}

let zoomed = ""; // the span of steps last zoomed to, so that a zoom that we pass on ends there

/** Zooming along the steps in one heat map zooms the others too. */
function followZoom(div) {
  if (div.dataset.zooms) return;
  div.dataset.zooms = "yes";
  div.on("plotly_relayout", (change) => {
    const { start, end } = state.window;
    let span = change["xaxis.range"] ?? [change["xaxis.range[0]"], change["xaxis.range[1]"]];
    if (change["xaxis.autorange"]) span = [start - 0.5, end - 0.5];
    if (span[0] === undefined || span.join() === zoomed) return; // not along the steps, or ours
    zoomed = span.join();
    for (const other of [...heatmapDivs(), byId("strips")]) {
      const ticks = stepTicks(other, Math.ceil(span[0]), Math.floor(span[1]) + 1);
      const axis = Object.fromEntries(Object.entries(ticks).map(([k, v]) => [`xaxis.${k}`, v]));
      Plotly.relayout(other, { "xaxis.range": span, ...axis });
    }
  });
}
