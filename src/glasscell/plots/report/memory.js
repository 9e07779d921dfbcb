"use strict";
// How long units remember: the chosen one in words, all of them counted by time scale.

const SCALES = [[0, 1, "less than 1 step"], [1, 3, "1 to 3 steps"], [3, 10, "3 to 10"],
                [10, 30, "10 to 30"], [30, 100, "30 to 100"], [100, Infinity, "100 or more"]];

function showMemory() {
  const { memory, kind, keeps } = LAYERS[state.layer];
  if (!memory.length) return;
  const [, span] = memory.find(([unit]) => unit === state.unit) ?? [];
  if (span !== undefined) byId("memory-told").textContent = memoryInWords(span, kind);
  const kicks = KICKS[state.layer];
  const measured = kicks?.units.length === memory.length ? kicks.spans : null;
  const rows = [["gates", memory.map(([, steps]) => steps), `var(--${keeps})`]];
  if (measured) rows.push(["measured", measured.map((s) => s ?? kicks.window), "var(--cell)"]);
  const counted = rows.map(([, spans]) => SCALES.map(([from, to]) =>
    spans.filter((s) => (s ?? Infinity) >= from && (s ?? Infinity) < to || (s === null && to === Infinity)).length));
  const most = Math.max(...counted.flat());
  byId("scales").replaceChildren(...SCALES.map(([, , words], k) => {
    const row = document.createElement("li");
    const name = document.createElement("span");
    name.textContent = words;
    const bars = document.createElement("div");
    rows.forEach(([, , colour], n) => {
      const bar = document.createElement("b"), count = document.createElement("em");
      bar.style.width = `calc((100% - 34px) * ${counted[n][k] / most})`;
      bar.style.background = colour;
      count.textContent = counted[n][k];
      const line = document.createElement("p");
      line.append(bar, count);
      bars.append(line);
    });
    row.append(name, bars);
    return row;
  }));
  byId("scales-key").replaceChildren(...keyOf(rows, kicks));
}

function keyOf(rows, kicks) {
  const words = { gates: "by the gate’s mean, as above",
                  measured: `measured with kicks, over ${kicks?.window} steps; what is longer counts as that` };
  return rows.map(([name, , colour]) => {
    const entry = document.createElement("span"), mark = document.createElement("i");
    mark.className = "filled";
    mark.style.background = colour;
    entry.append(mark, ` ${words[name]}`);
    return entry;
  });
}

function memoryInWords(span, kind) {
  const gate = { lstm: "forget gate", gru: "update gate" }[kind];
  if (span === null) return `${gate ? `The ${gate} of unit` : "Unit"} ${state.unit} never lets anything go.`;
  const measured = measuredSpan(state.unit);
  const kicked = measured === undefined ? ""
    : measured === null ? ` Measured with kicks, it takes more than ${KICKS[state.layer].window} steps.`
      : ` Measured with kicks, it takes ${stepsInWords(measured)}.`;
  return `Going by the mean of ${gate ? `its ${gate}` : "what stays at a step"}, half of what unit ${state.unit} holds is gone after ` +
    `${stepsInWords(span * Math.LN2)} (its half-life), and 37 % is left after ${stepsInWords(span)}.${kicked}`;
}
