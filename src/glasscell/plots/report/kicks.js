"use strict";
// What is left of a kick to the chosen unit.

const KICKS = LAYERS.map(({ name }) => {
  const stored = PAGE.kicks[name];
  if (!stored) return null;
  const curve = (key) => once(() => stored[key] === undefined ? null : decoded(stored[key], Float32Array));
  return { ...stored, own: curve("own"), whole: curve("whole"), carousel: curve("carousel"),
           place: new Map(stored.units.map((unit, k) => [unit, k])) };
});

/** Steps until 1/e of a kick is left: null if it is longer than was measured, undefined if it was not. */
function measuredSpan(unit) {
  const kicks = KICKS[state.layer];
  return kicks?.spans[kicks.place.get(unit)];
}

function stepsInWords(steps) {
  const words = steps < 0.95 ? steps.toPrecision(2) : Number(steps.toPrecision(3)).toLocaleString("en");
  return `${words} step${words === "1" ? "" : "s"}`;
}

function showKicks() {
  const kicks = KICKS[state.layer];
  byId("kicks-section").hidden = !kicks;
  if (!kicks) return;
  byId("kicks-unit").textContent = state.unit;
  byId("kicks-times").textContent = kicks.times === 1 ? "one place" : `${kicks.times} places`;
  const kicked = kicks.place.has(state.unit);
  byId("kicks").hidden = !kicked;
  const span = measuredSpan(state.unit);
  byId("kicks-told").textContent = !kicked
    ? `Kicks to all units would take too long; ${kicks.units.length} were kicked, and unit ${state.unit} is not among them.`
    : span === null
      ? `More than 37 % is left of a kick to unit ${state.unit} after the ${kicks.window} steps that were measured.`
      : `A kick to unit ${state.unit} is down to 37 % after ${stepsInWords(span)}.`;
  // Among those longer than the window, the more is left at its end the longer.
  const beyond = (k) => kicks.window * (1 + kicks.own()[(k + 1) * (kicks.window + 1) - 1]);
  const longest = range(0, kicks.units.length)
    .sort((a, b) => (kicks.spans[b] ?? beyond(b)) - (kicks.spans[a] ?? beyond(a)) || a - b)
    .slice(0, 8);
  byId("kicks-offers").replaceChildren("Longest, as measured:", ...longest.map((k) => unitButton(kicks.units[k],
    `${kicks.units[k]}: ${kicks.spans[k] === null ? `> ${kicks.window}` : Number(kicks.spans[k].toPrecision(3)).toLocaleString("en")} steps`)));
}

function drawKicks() {
  const kicks = KICKS[state.layer];
  const place = kicks?.place.get(state.unit);
  if (place === undefined) return Promise.resolve();
  const figure = look("kicks", LAYERS[state.layer].look);
  const many = kicks.window + 1;
  for (const line of figure.data) {
    const curve = kicks[line.meta]();
    line.x = range(0, many);
    line.y = Array.from(curve.subarray(place * many, (place + 1) * many));
  }
  // A short memory would be a spike at the edge of the whole window.
  const span = kicks.spans[place] ?? kicks.window;
  figure.layout.xaxis.range = [0, Math.min(kicks.window, Math.max(10, Math.ceil(5 * span)))];
  return draw("kicks", figure, () => {});
}
