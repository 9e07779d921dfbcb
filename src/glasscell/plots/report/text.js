"use strict";
// The text, shaded, and the panel about one token of it.

const text = byId("text");
const spans = TOKENS.map((token, t) => {
  const span = document.createElement("span");
  span.dataset.t = t;
  writeToken(span, token);
  return span;
});
text.append(...spans);

const BITS = 8; // the surprise at which the marker is at its strongest

/** What the text is shaded by: values, how far their scale reaches, and how to say it. */
function shading(state) {
  const layer = LAYERS[state.layer];
  if (state.quantity === "surprise") {
    return { values: SURPRISE, limit: BITS, signed: false, own: "surprise", unitless: true,
             name: "the model", label: "Surprise", low: "0", high: `${BITS}+ bits` };
  }
  const quantity = layer.quantities[state.quantity];
  const values = state.mean ? quantity.mean() : quantity.row(state.unit);
  const look = PAGE.quantities[state.quantity];
  const who = state.mean ? "mean" : `unit ${state.unit}`;
  const isSquashed = quantity.isUnbounded && !state.mean;
  let limit = 1;
  if (!quantity.isGate && !isSquashed) limit = values.reduce((most, v) => Math.max(most, Math.abs(v) || 0), 0) || 1;
  return {
    values, limit, isSquashed, signed: !quantity.isGate, own: state.quantity,
    name: state.mean ? `all units together` : `unit ${state.unit}`,
    label: `${look.label}, ${who}`,
    low: quantity.isGate ? "0 shut" : isSquashed ? "≤ −3" : `−${twoDigits(limit)}`,
    high: quantity.isGate ? "1 open" : isSquashed ? "≥ 3" : twoDigits(limit),
  };
}

/** A positive number, short, without an exponent where it need not have one. */
function twoDigits(value) {
  return value >= 100 ? Math.round(value).toLocaleString("en") : value.toPrecision(2);
}

function shadeText(shade) {
  text.style.setProperty("--shade", `var(--${shade.own})`);
  spans.forEach((span, t) => {
    const value = shade.values[t];
    const strength = shade.isSquashed ? Math.tanh(value) : value / shade.limit;
    span.style.setProperty("--a", Math.min(1, Math.abs(strength || 0)).toFixed(4));
    span.classList.toggle("negative", shade.signed && value < 0);
    span.classList.toggle("positive", shade.signed && value >= 0);
    span.classList.toggle("missing", Number.isNaN(value) && shade.own !== "surprise");
  });
  const full = (colour) => `color-mix(in srgb, var(--${colour}) 66%, transparent)`;
  byId("legend-scale").style.background = shade.signed
    ? `linear-gradient(90deg, ${full("negative")}, transparent, ${full("positive")})`
    : `linear-gradient(90deg, transparent, ${full(shade.own)})`;
  byId("legend-low").textContent = shade.low;
  byId("legend-high").textContent = shade.high;
  byId("shade-name").textContent = shade.name;
}

function number(value, digits = 3) {
  return Number.isFinite(value) ? value.toFixed(digits).replace("-", "−") : "–";
}

/** Fills the panel about the token of step t. */
function showDetail(t, shade, layer) {
  byId("detail-step").textContent = `Step ${t.toLocaleString("en")} of ${(T - 1).toLocaleString("en")}`;
  byId("detail-token").textContent = visible(TOKENS[t]);
  byId("detail-name").textContent = shade.own === "surprise" ? "Probability" : shade.label;
  byId("detail-value").textContent =
    shade.own === "surprise" ? number(2 ** -SURPRISE[t]) : number(shade.values[t]);
  byId("detail-surprise").textContent =
    Number.isNaN(SURPRISE[t]) ? "nothing came before" : `${number(SURPRISE[t], 1)} bits`;
  byId("detail-guesses").replaceChildren(...guessesAfter(t).map(guessRow));
  byId("detail-moved-heading").textContent =
    layer.quantities.cell ? "Cells that moved most here" : "Units that moved most here";
  const { k, units, values } = layer.moved;
  byId("detail-moved").replaceChildren(
    ...Array.from({ length: k }, (_, n) => {
      const button = document.createElement("button");
      const value = values[t * k + n];
      button.dataset.unit = units[t * k + n];
      const change = document.createElement("span");
      change.className = value < 0 ? "down" : "up";
      change.textContent = (value < 0 ? " " : " +") + number(value, 2);
      button.append(`${units[t * k + n]}`, change);
      return button;
    }),
  );
}

function guessRow({ token, probability, came }) {
  const row = document.createElement("li");
  const code = document.createElement("code");
  const track = document.createElement("span");
  const bar = document.createElement("b");
  const share = document.createElement("em");
  code.textContent = visible(token);
  bar.style.width = `${(100 * probability).toFixed(1)}%`;
  share.textContent = `${(100 * probability).toFixed(probability < 0.0995 ? 1 : 0)} %`;
  if (came) {
    row.className = "came";
    row.title = "This one came";
  }
  track.append(bar);
  row.append(code, track, share);
  return row;
}

function markToken(t) {
  text.querySelector(".marked")?.classList.remove("marked");
  spans[t].classList.add("marked");
}

/** Scrolls the text, and only the text, until step t can be seen. */
function bringIntoView(t) {
  const box = text.getBoundingClientRect(), token = spans[t].getBoundingClientRect();
  if (token.top < box.top) text.scrollTop -= box.top - token.top + 30;
  else if (token.bottom > box.bottom) text.scrollTop += token.bottom - box.bottom + 30;
}
