"use strict";
// The account as columns: what each step wrote, what of it is still there, and the sum of all.

const MOST_COLUMNS = 26;

const small = (words) => `<span style="font-size:10px">${words}</span>`;
const sumOver = (values, places) => places.reduce((sum, n) => sum + values[n], 0);

/** Which steps have a column of their own: what counts, and as many of the latest as there is room for. */
function columnsOf(steps, now, room) {
  const most = now.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
  const all = range(0, now.length);
  const own = new Set(all.filter((n) => Math.abs(now[n]) >= most / 50)
    .sort((a, b) => Math.abs(now[b]) - Math.abs(now[a])).slice(0, room));
  for (const n of all) if (own.size < room) own.add(n); // the latest come first
  const shown = [...own].sort((a, b) => steps[a] - steps[b]);
  return { shown, others: all.filter((n) => !own.has(n)), most };
}

/** A column for each of the steps that count, and one for all others together. */
function singleColumns({ steps, written, now }, shown, others) {
  const rest = { x: "others", step: null, tick: small("other<br>steps"), first: null, there: sumOver(now, others),
                 says: `${others.length.toLocaleString("en")} other steps together` };
  return [...(others.length ? [rest] : []), ...shown.map((n) => ({
    x: String(steps[n]), step: steps[n], first: written[n], there: now[n],
    says: `step ${steps[n]} <b>${label(TOKENS[steps[n]])}</b>`,
    tick: `${label([...TOKENS[steps[n]]].slice(0, 4).join(""))}<br>${small(steps[n])}`,
  }))];
}

/** A column for each of as many runs of steps as there is room for: of a unit that adds up a little from many. */
function runColumns({ steps, written, now }, room) {
  const size = Math.ceil(steps.length / room);
  const inTime = range(0, steps.length).sort((a, b) => steps[a] - steps[b]);
  return range(0, Math.ceil(steps.length / size)).map((k) => {
    const run = inTime.slice(k * size, (k + 1) * size);
    const from = steps[run[0]], to = steps[run.at(-1)];
    return { x: String(from), step: to, first: sumOver(written, run), there: sumOver(now, run),
             says: `steps ${from} to ${to} together`, tick: small(from) };
  });
}

function drawLedger(found, choose) {
  if (!found) return Promise.resolve();
  const div = byId("ledger");
  const figure = look("ledger");
  const room = Math.max(5, Math.min(MOST_COLUMNS, Math.floor((div.clientWidth - 90) / 34) - 3));
  const { shown, others, most } = columnsOf(found.steps, found.now, room);
  const isSpread = Math.abs(sumOver(found.now, others)) > 3 * most;
  const rows = isSpread ? runColumns(found, room) : singleColumns(found, shown, others);
  if (found.initial || found.rest) {
    rows.unshift({ x: "start", step: null, tick: small("start"), first: found.initial, there: found.rest,
                   says: "what is left of the state it started from" });
  }
  const { positive, negative } = themed().colours;
  const colour = (v) => (v < 0 ? negative : positive);
  const [frame, filled, whole] = figure.data;
  const x = rows.map((row) => row.x), customdata = rows.map((row) => row.says);
  Object.assign(frame, { x, customdata, y: rows.map((row) => row.first) });
  Object.assign(filled, { x, customdata, y: rows.map((row) => row.there) });
  filled.marker = { color: rows.map((row) => colour(row.there)) };
  Object.assign(whole, { x: ["sum"], y: [found.total], text: [signed(found.total)] });
  whole.marker.color = colour(found.total);
  const size = Math.ceil(found.steps.length / room);
  Object.assign(figure.layout.xaxis, {
    categoryarray: [...x, " ", "sum"], range: [-0.7, x.length + 1.8],
    tickmode: "array", tickvals: [...x, "sum"], ticktext: [...rows.map((row) => row.tick), "sum"],
  });
  figure.layout.xaxis.title.text = isSpread ? `${size} steps together in each column: no single one counts for much` : "";
  rowsDrawn = rows;
  return draw(div, figure, (point) => {
    const step = rowsDrawn.find((row) => row.x === point.x)?.step ?? null;
    if (step !== null) choose({ step });
  });
}

let rowsDrawn = []; // the columns that are drawn now, for clicks on them
