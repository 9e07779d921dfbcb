"use strict";
// How each surprise of a window reaches back: the numbers, and which of them are asked for.

const FLOW = PAGE.flow && !PAGE.flow.reason ? PAGE.flow : null;

/** One way of one layer: rows s = 1 .. W - 1 of a triangle, each with its columns t < s. */
class FlowNorms {
  constructor(stored) {
    this.values = once(() => decoded(stored, Float32Array));
  }

  /** What of the surprise at s arrives at each t = 0 .. s - 1, both counted within the window. */
  row(s) {
    const first = (s * (s - 1)) / 2;
    return this.values().subarray(first, first + s);
  }

  /** The strongest of all pairs. */
  most() {
    return this.values().reduce((m, v) => Math.max(m, v || 0), 0) || 1;
  }
}

const FLOWS = LAYERS.map(({ name }) => {
  const stored = FLOW?.layers[name];
  return stored && Object.fromEntries(Object.entries(stored).map(([way, v]) => [way, new FlowNorms(v)]));
});

/** The surprise that is followed, within the window: the marked one, else the greatest. */
function followed() {
  const s = state.step - FLOW.start;
  return s >= 1 && s < FLOW.steps ? s : FLOW.first;
}

const isMarkedInWindow = () => followed() === state.step - FLOW.start;

/** How far back more than a hundredth arrives of what arrives one step back. */
function reachOf(row) {
  const last = row[row.length - 1];
  for (let d = 1; d <= row.length; d++) if (!(row[row.length - d] >= last / 100)) return d - 1;
  return row.length;
}
