// Each chart in place of its picture. Vega interprets its expressions (`ast`), so the page needs no eval.
const {config, specs} = JSON.parse(document.getElementById("charts").textContent);

async function draw(figure, spec) {
  const chart = figure.querySelector(".chart");
  // The element that Vega draws into gets Vega's own label: the one with ours is its parent.
  const {view} = await vegaEmbed(chart.firstElementChild, {...spec, width: "container", height: 320}, {
    config, ast: true, renderer: "svg", actions: false, defaultStyle: false, tooltip: {disableDefaultStyle: true},
  });
  if ("epochs" in chart.dataset) control(figure.querySelector(".tools"), view, spec.data.values);
  chart.dataset.drawn = "";
}

// Buttons that move and zoom along the epochs, for hands, keyboards and screen readers alike.
function control(tools, view, values) {
  const status = tools.querySelector("[role=status]");
  const [first, last] = view.scale("x").domain();
  async function show(low, high) {
    const seen = values.filter(({epoch}) => low <= epoch && epoch <= high).map(({value}) => value);
    const all = high - low >= last - first;
    view.signal("zoom_epoch", all ? null : [low, high]);
    view.signal("zoom_value", all ? null : [Math.min(...seen), Math.max(...seen)]);
    await view.runAsync();
    status.textContent = all ? "" : `epochs ${Math.ceil(low)} to ${Math.floor(high)}`;
  }
  tools.addEventListener("click", ({target}) => {
    const {move = 0, zoom = 1} = target.closest("button")?.dataset ?? {};
    const [low, high] = view.scale("x").domain();
    const width = Math.max(2, Math.min((high - low) * zoom || 0, last - first));
    const middle = (low + high) / 2 + move * width / 2;
    const start = Math.max(first, Math.min(middle - width / 2, last - width));
    show(start, start + width);
  });
  tools.hidden = false;
}

for (const [name, spec] of Object.entries(specs)) draw(document.getElementById(name), spec);
