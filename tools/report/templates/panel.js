// The panel of passages: what each model expected at a token, and one unit of the cells in place of the surprisal.
const panel = document.getElementById("passages");
if (panel) watch(panel, JSON.parse(panel.querySelector("script").textContent));

function watch(panel, {labels, texts, tokens, units}) {
  const series = panel.querySelector("[data-series]");
  const cards = [...panel.querySelectorAll("[data-split]")];
  const bytes = text => Int8Array.from(atob(text), character => character.charCodeAt(0));
  const shown = {};  // model -> {title, scale, values: {split: numbers}}; empty while surprisal is shown

  // What a model's unit does along the passages: bytes of all units, unit after unit.
  function follow(model, index) {
    const {units: all, scales, values, tokens: lengths} = units[model];
    const name = series.value, scale = scales[name][index];
    const part = split => bytes(values[split][name]).slice(index * lengths[split], (index + 1) * lengths[split]);
    shown[model] = {
      title: `${name} of ${title(all, all[index])}`, scale,
      values: Object.fromEntries(Object.keys(values).map(split => [split, Array.from(part(split), b => b / 127)])),
    };
  }

  const title = (all, {layer, number}) => (all.some(unit => unit.layer > 1) ? `layer ${layer}, ` : "") + `unit ${number}`;
  const signed = number => number.toFixed(2).replace("-", "\u2212");

  // The units of a model, those that follow a feature most strongly first.
  function list(model) {
    const all = units[model].units, strength = index => Math.abs(all[index][series.value][1]);
    const order = [...all.keys()].sort((a, b) => strength(b) - strength(a));
    panel.querySelector(`[data-unit=${model}]`).replaceChildren(...order.map(index => {
      const [feature, r] = all[index][series.value];
      return new Option(`${title(all, all[index])}: ${feature}, r ${signed(r)}`, index);
    }));
  }

  function shade(card) {
    const {split} = card.dataset;
    for (const text of card.querySelectorAll(".tokens")) {
      const {model} = text.dataset, unit = shown[model];
      const values = unit ? unit.values[split] : tokens[split][model].map(([bits]) => bits);
      [...text.children].forEach((token, place) => {
        token.dataset.shade ??= token.className.match(/shade\d/)[0];
        token.className = unit ? `value${Math.round(Math.max(-1, Math.min(1, values[place] * unit.scale)) * 4)}` : token.dataset.shade;
      });
      const trace = card.querySelector(`.trace[data-model=${model}]`), top = unit ? 1 : Math.max(...values);
      trace.setAttribute("viewBox", unit ? `0 -1 ${values.length - 1} 2` : `0 ${-top} ${values.length - 1} ${top}`);
      trace.firstElementChild.setAttribute("d", "M" + values.map((value, place) => `${place},${-value}`).join("L"));
      trace.removeAttribute("hidden");
    }
  }

  // The token at `place` in a card: marked in both texts, with what each model expected there.
  function point(card, place) {
    const {split} = card.dataset;
    if (card.dataset.place === String(place) || !(place in texts[split])) return;
    card.dataset.place = place;
    card.querySelectorAll(".tokens [data-here]").forEach(token => delete token.dataset.here);
    card.querySelectorAll(".tokens").forEach(text => text.children[place].dataset.here = "");
    tell(card);
  }

  function tell(card) {
    const {split, place} = card.dataset;
    if (place === undefined) return;
    card.querySelector(".expected").replaceChildren(element("b", texts[split][place]), ...Object.keys(labels).map(model => {
      const [bits, ...likeliest] = tokens[split][model][place], unit = shown[model];
      const table = element("table");
      table.append(element("caption", `${labels[model]}: ${bits.toFixed(2)} bits`
        + (unit ? `; ${unit.title}: ${signed(unit.values[split][place] * unit.scale)}` : "")));
      for (const [token, p] of likeliest) {
        const row = table.insertRow();
        row.append(element("td", token), element("td", p.toFixed(3)));
        row.style.setProperty("--p", p);
        if (token === texts[split][place]) row.className = "right";
      }
      return table;
    }));
  }

  function element(name, text = "") {
    const made = document.createElement(name), isolated = document.createElement("bdi");
    isolated.textContent = text;
    made.append(isolated);
    return made;
  }

  function update() {
    for (const model of Object.keys(labels)) {
      const choice = panel.querySelector(`[data-unit=${model}]`);
      choice.parentElement.hidden = !series.value;
      if (series.value) follow(model, Number(choice.value)); else delete shown[model];
    }
    for (const scale of panel.querySelectorAll(".scale")) scale.hidden = scale.matches(".tools *") !== Boolean(series.value);
    cards.forEach(shade);
    cards.forEach(tell);
  }

  for (const card of cards) {
    const move = step => point(card, Number(card.dataset.place ?? -1) + step);
    for (const text of card.querySelectorAll(".tokens")) {
      const at = ({target}) => target !== text && point(card, [...text.children].indexOf(target));
      text.tabIndex = 0;
      text.addEventListener("pointerover", at);
      text.addEventListener("click", at);
      text.addEventListener("focus", () => point(card, Number(card.dataset.place ?? 0)));
      text.addEventListener("keydown", event => {
        const step = {ArrowRight: 1, ArrowLeft: -1}[event.key];
        if (!step || event.ctrlKey || event.altKey || event.metaKey) return;
        event.preventDefault();
        move(getComputedStyle(text).direction === "rtl" ? -step : step);
      });
    }
    card.querySelector(".readout").hidden = false;
    card.querySelector(".tools").addEventListener("click", ({target}) => move(Number(target.closest("button")?.dataset.step ?? 0)));
    point(card, 0);
  }
  if (Object.keys(units).length) {
    const models = Object.keys(units);
    series.append(...Object.keys(units[models[0]].scales).map(name => new Option(name, name)));
    series.addEventListener("change", () => { if (series.value) models.forEach(list); update(); });
    for (const model of models) panel.querySelector(`[data-unit=${model}]`).addEventListener("change", update);
    panel.querySelector(".tools").hidden = false;
  }
  update();
}
