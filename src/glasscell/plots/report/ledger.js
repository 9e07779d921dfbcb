"use strict";
// The account of the chosen unit after the marked token: in words, and the text shaded by it.

const brief = (id) => {
  const spans = TOKENS.map((token, t) => {
    const span = document.createElement("span");
    span.dataset.t = t;
    writeToken(span, token);
    return span;
  });
  byId(id).append(...spans);
  return spans;
};
const ledgerSpans = once(() => brief("ledger-text"));
let ledgerShaded = []; // steps whose token has a shade now

function signed(value, digits = 3) {
  const exact = Math.abs(value) < 5e-4 && value !== 0;
  const words = exact ? value.toExponential(1) : value.toFixed(digits);
  return (value < 0 ? "" : "+") + words.replaceAll("-", "−");
}

/** The account to show, or null: what there is not is said in its place. */
function accountShown() {
  const account = ACCOUNTS[state.layer];
  if (!account) return null;
  const has = account.has(state.unit, state.step);
  byId("ledger-notice").hidden = has && account.all;
  byId("ledger-body").hidden = byId("ledger-told").hidden = !has;
  if (!account.all || !has) {
    const some = `The page carries the exact accounts of the ${account.units.length} units of this layer that swing furthest`;
    const first = account.steps < T ? `, over the first ${account.steps.toLocaleString("en")} steps` : "";
    const missing = account.place.has(state.unit) ? "" : ` Unit ${state.unit} is not among them.`;
    byId("ledger-why").textContent = `${some}${first}; all of them would make it too large.${missing}`;
    const offers = LAYERS[state.layer].lively.filter((unit) => account.place.has(unit));
    byId("ledger-offers").replaceChildren("Units worth a look:", ...offers.map((unit) => unitButton(unit, unit)));
  }
  return has ? account.of(state.unit, state.step) : null;
}

function showLedger() {
  byId("ledger-unit").textContent = state.unit;
  const found = accountShown();
  if (!found) return null;
  shadeLedger(found);
  tellLedger(found);
  return found;
}

function shadeLedger({ steps, now }) {
  const spans = ledgerSpans();
  const most = now.reduce((m, v) => Math.max(m, Math.abs(v) || 0), 0) || 1;
  for (const t of ledgerShaded) spans[t].style.removeProperty("--a");
  byId("ledger-text").querySelector(".marked")?.classList.remove("marked");
  ledgerShaded = [];
  now.forEach((value, n) => {
    const strength = Math.abs(value) / most;
    if (!(strength >= 0.004)) return; // too faint to see
    const span = spans[steps[n]];
    span.style.setProperty("--a", strength.toFixed(3));
    span.classList.toggle("negative", value < 0);
    span.classList.toggle("positive", value >= 0);
    ledgerShaded.push(steps[n]);
  });
  const marked = spans[state.step];
  marked.classList.add("marked");
  byId("ledger-text").classList.toggle("backwards", ACCOUNTS[state.layer].reverse);
  scrollWithin(byId("ledger-text"), marked);
  byId("ledger-low").textContent = `−${twoDigits(most)}`;
  byId("ledger-high").textContent = `+${twoDigits(most)}`;
}

/** Scrolls a box of text, and nothing else, until one of its tokens can be seen. */
function scrollWithin(box, span) {
  const outer = box.getBoundingClientRect(), inner = span.getBoundingClientRect();
  if (inner.top < outer.top) box.scrollTop -= outer.top - inner.top + 30;
  else if (inner.bottom > outer.bottom) box.scrollTop += inner.bottom - outer.bottom + 30;
}

/** In how many of the latest steps half of what is there came, signs aside. */
function halfWithin(now, rest) {
  const all = now.reduce((sum, v) => sum + Math.abs(v), Math.abs(rest));
  let sum = 0;
  for (let n = 0; n < now.length; n++) {
    sum += Math.abs(now[n]);
    if (sum >= all / 2) return n + 1;
  }
  return null;
}

function tellLedger({ steps, written, now, rest, total }) {
  const { token } = PAGE;
  const largest = now.reduce((best, v, n) => (Math.abs(v) > Math.abs(now[best]) ? n : best), 0);
  const half = halfWithin(now, rest);
  const name = (n) => `“${visible(TOKENS[steps[n]])}” at step ${steps[n].toLocaleString("en")}`;
  const word = ACCOUNTS[state.layer].reverse ? "nearest" : "latest";
  const came = half === null
    ? `Most of what is there was there at the start.`
    : half === 1
      ? `At least half of it was put there by the ${token} itself.`
      : `Half of all that is there, signs aside, came with the ${word} ${half.toLocaleString("en")} ${token}s.`;
  byId("ledger-told").textContent =
    `Unit ${state.unit} holds ${signed(total)} after ${name(0)}. ${came} The most is from ${name(largest)}: ` +
    `it wrote ${signed(written[largest])}, of which ${signed(now[largest])} is still there.`;
}
