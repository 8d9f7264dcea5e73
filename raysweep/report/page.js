"use strict";
// Show the views that the controls choose. All numbers are in the page; nothing is computed here.
(() => {
  const PRINTED = 680; // width of a printed page in pixels
  const palette = JSON.parse(document.getElementById("palette").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const touch = matchMedia("(pointer: coarse)"); // a finger on a figure scrolls the page
  const PRINT_SCALE = 0.65; // size of letters in print relative to the screen
  const FONT = { family: "system-ui, -apple-system, 'Liberation Sans', sans-serif", size: 12 };
  const CONFIG = {
    displaylogo: false,
    responsive: true,
    modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
  };
  let printing = false;

  const theme = () => (dark.matches && !printing ? palette.dark : palette.light);

  const faint = (hex) =>
    `rgba(${[1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)).join(",")},0.2)`;

  function coloured(trace, look, hidden) {
    const index = trace.meta && trace.meta.index;
    if (trace.type === "parcoords") {
      const font = { ...FONT, color: look.ink };
      return { ...trace, labelfont: font, tickfont: font, rangefont: font, line: { ...trace.line, colorscale: look.shades } };
    }
    if (index === undefined) return trace;
    const color = look.colours[index % look.colours.length];
    const result = { ...trace, visible: !hidden.has(index), showlegend: false };
    result.line = { ...trace.line, color };
    result.marker = { ...trace.marker, color };
    result.fillcolor = faint(color);
    if (trace.error_x) result.error_x = { ...trace.error_x, color };
    return result;
  }

  function laidOut(layout, look, height, log) {
    const axis = { gridcolor: look.grid, zerolinecolor: look.grid, linecolor: look.grid, automargin: true };
    return {
      margin: { l: 60, r: 12, t: 30, b: 48 },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: look.soft, activecolor: look.ink },
      hoverlabel: { bgcolor: look.box, bordercolor: look.ink, font: { ...FONT, color: look.ink }, namelength: -1 },
      ...layout,
      xaxis: { ...axis, ...layout.xaxis },
      yaxis: { ...axis, ...layout.yaxis, ...(log ? { type: "log", range: undefined, autorange: true } : {}) },
      font: { ...FONT, color: look.ink },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      hovermode: "closest",
      dragmode: touch.matches ? false : "zoom",
      height,
      ...(printing ? { width: PRINTED, autosize: false } : { autosize: true }),
    };
  }

  const chosen = (section) =>
    [...section.querySelectorAll("[data-control]")].map((control) => control.value).join(" ");

  // WebGL drawings do not print, so a picture replaces them on paper.
  const turns = new WeakMap();
  async function picture(plot, view) {
    const turn = (turns.get(plot) || 0) + 1;
    turns.set(plot, turn);
    if (plot.previousElementSibling !== null) plot.previousElementSibling.remove(); // picture of another view
    const data = view.data.map((trace) => coloured(trace, palette.light, new Set()));
    const layout = laidOut(view.layout, palette.light, Number(plot.dataset.height), false);
    const size = { format: "png", width: PRINTED, height: layout.height, scale: 2 };
    const src = await Plotly.toImage({ data, layout }, size);
    if (turns.get(plot) !== turn) return;
    const image = document.createElement("img");
    image.className = "printed";
    image.alt = plot.getAttribute("aria-label");
    image.src = src;
    plot.before(image);
  }

  function figure(section) {
    const views = JSON.parse(document.getElementById(`data-${section.dataset.figure}`).textContent);
    const hidden = new Set();
    const plots = [...section.querySelectorAll(".plot")];
    const log = section.querySelector("[data-log]");
    const now = (plot) => views[plot.id][chosen(section)];
    const positive = (view) =>
      view.data.every((trace) => !Array.isArray(trace.y) || trace.y.every((value) => value === null || value > 0));
    const offer = () => {
      if (log === null) return;
      log.disabled = !plots.some((plot) => positive(now(plot)));
      log.title = log.disabled ? "Values that are not positive cannot be shown on a logarithmic axis." : "";
    };
    const draw = (plot) => {
      offer();
      const look = theme();
      const view = structuredClone(now(plot));
      const data = view.data.map((trace) => coloured(trace, look, hidden));
      const logarithmic = log !== null && log.checked && positive(view);
      const layout = laidOut(view.layout, look, Number(plot.dataset.height), logarithmic);
      layout.uirevision = `${chosen(section)} ${logarithmic}`; // keeps the zoom
      Plotly.react(plot, data, layout, CONFIG);
      if (section.dataset.webgl !== undefined && !printing) picture(plot, view);
    };
    for (const button of section.querySelectorAll("[data-index]")) {
      const index = Number(button.dataset.index);
      button.addEventListener("click", () => {
        if (!hidden.delete(index)) hidden.add(index);
        button.setAttribute("aria-pressed", String(!hidden.has(index)));
        plots.forEach(draw);
      });
    }
    return plots.map((plot) => () => draw(plot));
  }

  function webgl() {
    return document.createElement("canvas").getContext("webgl") !== null;
  }

  function swatches() {
    const { colours } = theme();
    for (const swatch of document.querySelectorAll("[data-colour]")) {
      swatch.style.color = colours[Number(swatch.dataset.colour)];
    }
  }

  // A click on a head sorts the rows by its column, a second one the other way round.
  function sortable(table) {
    const body = table.tBodies[0];
    const heads = [...table.tHead.rows[0].cells];
    const number = (text) => (/^[-+]?\d[\d.]*(e[-+]?\d+)?( |$)/.test(text) ? parseFloat(text) : NaN);
    const compare = (a, b) => {
      const [x, y] = [number(a), number(b)];
      if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y) || a.localeCompare(b);
      return x - y;
    };
    heads.forEach((head, index) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const rising = head.getAttribute("aria-sort") !== "ascending";
        for (const other of heads) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", rising ? "ascending" : "descending");
        const text = (row) => row.cells[index].textContent.trim();
        const rows = [...body.rows].sort((a, b) => compare(text(a), text(b)) * (rising ? 1 : -1));
        body.append(...rows);
      });
    });
  }
  document.querySelectorAll("table[data-sortable]").forEach(sortable);

  const drawings = [];
  for (const section of document.querySelectorAll("[data-switch]")) {
    let redraws = [];
    if (section.dataset.webgl !== undefined && !webgl()) {
      const note = document.createElement("p");
      note.className = "missing";
      note.textContent = "This figure needs WebGL, which this browser does not offer.";
      section.querySelector(".plots").replaceChildren(note);
    } else if (section.dataset.figure !== undefined) {
      redraws = figure(section);
    }
    drawings.push(...redraws);
    section.addEventListener("change", () => {
      const key = chosen(section);
      for (const view of section.querySelectorAll("[data-key]")) view.hidden = view.dataset.key !== key;
      redraws.forEach((draw) => draw());
    });
  }

  const all = () => [swatches, ...drawings].forEach((draw) => draw());
  const printed = (now) => {
    printing = now;
    for (const table of document.querySelectorAll(".scroll table")) {
      table.style.zoom = now ? Math.min(1, PRINTED / (table.scrollWidth * PRINT_SCALE)) : "";
    }
    all();
  };
  addEventListener("beforeprint", () => printed(true));
  addEventListener("afterprint", () => printed(false));
  for (const query of [dark, touch]) query.addEventListener("change", all);
  swatches();
  // Draw one at a time, so that the page remains responsive.
  const next = (index) => {
    if (index < drawings.length) {
      drawings[index]();
      setTimeout(next, 0, index + 1);
    }
  };
  next(0);
})();
