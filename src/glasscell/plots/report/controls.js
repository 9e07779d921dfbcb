"use strict";
// The controls, showing what is chosen and what could be.

function showControls() {
  const layer = LAYERS[state.layer];
  const isSurprise = state.quantity === "surprise";
  const applies = { kind: layer.kind, state: layer.quantities.cell ? "cell" : "hidden",
                    shade: isSurprise ? "surprise" : "unit" };
  for (const [about, value] of Object.entries(applies)) {
    document.querySelectorAll(`main [data-${about}]`).forEach((part) => {
      part.hidden = !part.dataset[about].split(" ").includes(value);
    });
  }
  byId("layer").value = state.layer;
  const offered = ["surprise", ...Object.keys(layer.quantities)];
  if (byId("quantities").dataset.offered !== offered.join()) offerQuantities(offered);
  byId("quantities").querySelector(`input[value="${state.quantity}"]`).checked = true;
  byId("unit").value = state.unit;
  byId("unit").max = unitsToChoose() - 1;
  byId("previous-unit").disabled = state.unit === 0;
  byId("next-unit").disabled = state.unit >= unitsToChoose() - 1;
  byId("mean").checked = state.mean;
  byId("mean").disabled = isSurprise;
  byId("strips-unit").textContent = state.unit;
  byId("order").disabled = !layer.memory.length;
  byId("order").value = state.order;
  const { start, end } = state.window;
  byId("window").textContent =
    `Steps ${start.toLocaleString("en")} to ${(end - 1).toLocaleString("en")} of ${T.toLocaleString("en")}`;
  byId("earlier").disabled = start === 0;
  byId("later").disabled = end === T;
  showSuggestions(layer);
}

function offerQuantities(offered) {
  byId("quantities").dataset.offered = offered.join();
  const legend = byId("quantities").querySelector("legend");
  byId("quantities").replaceChildren(legend, ...offered.map((name) => {
    const choice = document.createElement("label");
    const radio = document.createElement("input");
    const words = document.createElement("span");
    Object.assign(radio, { type: "radio", name: "quantity", value: name });
    words.textContent = name === "surprise" ? "Surprise" : PAGE.quantities[name].label.split(" ")[0];
    radio.ariaLabel = name === "surprise" ? "Surprise" : PAGE.quantities[name].label;
    choice.style.setProperty("--own", `var(--${name}, var(--muted))`);
    choice.append(radio, words);
    return choice;
  }));
}

function unitButton(unit, words) {
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.unit = unit;
  button.setAttribute("aria-pressed", unit === state.unit);
  button.textContent = words;
  return button;
}

function showSuggestions(layer) {
  const lively = layer.lively.map((unit) => unitButton(unit, unit));
  byId("lively").replaceChildren("Units worth a look:", ...lively);
  const longest = layer.memory.slice(0, 8).map(([unit, steps]) =>
    unitButton(unit, `${unit}: ${steps === null ? "∞" : Number(steps.toPrecision(3)).toLocaleString("en")} steps`));
  byId("longest").replaceChildren("Longest:", ...longest);
}
