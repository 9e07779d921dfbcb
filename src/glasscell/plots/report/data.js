"use strict";
// The page's numbers, taken out of their bytes when they are first needed.

const PAGE = JSON.parse(document.getElementById("data").textContent);
const TOKENS = PAGE.text.tokens;
const T = TOKENS.length;

function decoded(base64, Numbers) {
  const characters = atob(base64);
  const bytes = new Uint8Array(characters.length);
  for (let k = 0; k < bytes.length; k++) bytes[k] = characters.charCodeAt(k);
  return new Numbers(bytes.buffer);
}

const byId = (id) => document.getElementById(id);

function once(make) {
  let made;
  return () => (made ??= make());
}

/** One quantity of one layer: a row of values for each unit, over the steps shown. */
class Quantity {
  constructor(name, stored) {
    this.name = name;
    this.letter = stored.letter;
    this.isGate = stored.gate;
    this.units = stored.units;
    this.isUnbounded = PAGE.quantities[name].unbounded; // coloured by its tanh
    this.limit = stored.limit || 1; // of a colour scale over all units, 0 in its middle
    this.mean = once(() => decoded(stored.mean, Float32Array));
    this.codes = once(() => decoded(stored.codes, Uint8Array));
    this.low = once(() => decoded(stored.low, Float32Array));
    this.step = once(() => decoded(stored.step, Float32Array));
  }

  /** Values of one unit, from step `start` up to `end`; NaN where there is no number. */
  row(unit, start = 0, end = T) {
    const values = new Float32Array(end - start).fill(NaN);
    if (unit >= this.units) return values;
    const low = this.low()[unit], step = this.step()[unit], codes = this.codes();
    for (let t = start; t < end; t++) {
      const code = codes[unit * T + t];
      if (code < 255) values[t - start] = low + code * step;
    }
    return values;
  }
}

const LAYERS = PAGE.layers.map((layer) => ({
  ...layer,
  quantities: Object.fromEntries(
    Object.entries(layer.quantities).map(([name, stored]) => [name, new Quantity(name, stored)]),
  ),
  moved: {
    k: layer.moved.k,
    units: decoded(layer.moved.units, Uint32Array),
    values: decoded(layer.moved.values, Float32Array),
  },
}));

/** The name of a layer's memory: what it carries from step to step. */
const memoryOf = (layer) => (layer.quantities.cell ? "cell" : "hidden");

const SURPRISE = decoded(PAGE.text.surprise, Float32Array); // (T,) bits
const GUESSES = {
  k: PAGE.text.guesses.k,
  tokens: decoded(PAGE.text.guesses.tokens, Uint32Array),
  probabilities: decoded(PAGE.text.guesses.probabilities, Float32Array),
};

/** The token that came after step t, or null at the end of the text. */
function cameAfter(t) {
  return t + 1 < T ? TOKENS[t + 1] : PAGE.text.upcoming;
}

/** The guesses after step t, likeliest first. */
function guessesAfter(t) {
  const came = cameAfter(t);
  return Array.from({ length: GUESSES.k }, (_, k) => {
    const token = PAGE.text.vocabulary[GUESSES.tokens[t * GUESSES.k + k]];
    return { token, probability: GUESSES.probabilities[t * GUESSES.k + k], came: token === came };
  });
}
