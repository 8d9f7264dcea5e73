"use strict";
// Show the views that the controls choose. All numbers are in the page; nothing is computed here.
(() => {
  const PRINTED = 680; // width of a printed page in pixels
  const look = JSON.parse(document.getElementById("look").textContent);
  const PRINT_SCALE = 0.65; // size of letters in print relative to the screen

  // A number that is missing, such as the interval of few seeds, is left out of a tip.
  const formatTooltip = (lines, sanitize) => {
    const known = Object.entries(lines).filter(([, text]) => !["NaN", "null"].includes(String(text)));
    const cells = known.map(([name, text]) => `<tr><td class="key">${sanitize(name)}</td><td class="value">${sanitize(text)}</td></tr>`);
    return `<table>${cells.join("")}</table>`;
  };
  const OPTIONS = { ast: true, actions: false, renderer: "svg", logLevel: 1, tooltip: { formatTooltip } }; // errors alone

  // Data are columns in the page; a column of one value has it in every record.
  function records(columns) {
    const { "": [length], ...named } = columns;
    const entries = Object.entries(named);
    const at = (values, index) => values[values.length === 1 ? 0 : index];
    return Array.from({ length }, (_, index) =>
      Object.fromEntries(entries.map(([name, values]) => [name, at(values, index)])),
    );
  }

  // Fields along the y axes of a description, and their scales.
  function vertical(spec) {
    const here = spec.encoding ? ["y", "y2"].map((name) => spec.encoding[name]).filter((y) => y && y.field) : [];
    return [...here, ...(spec.layer || []).flatMap(vertical)];
  }

  // The page's buttons are the legend.
  function withoutLegends(spec) {
    for (const channel of Object.values(spec.encoding || {})) {
      if (channel && channel.field && "legend" in channel) channel.legend = null;
    }
    (spec.layer || []).forEach(withoutLegends);
    return spec;
  }

  const isPositive = (view) => {
    const fields = vertical(view.spec).map((y) => y.field);
    return Object.values(view.data).every((columns) =>
      fields.every((field) => ["low", "high"].includes(field) || (columns[field] || []).every((value) => value === null || value > 0)),
    );
  };

  function described(view, hidden, logarithmic) {
    const { spec, data } = structuredClone(view);
    const datasets = {};
    for (const [name, columns] of Object.entries(data)) {
      datasets[name] = records(columns).filter((record) => !hidden.has(record.row));
    }
    if (logarithmic) {
      for (const y of vertical(spec)) {
        if (y.scale) Object.assign(y.scale, { type: "log", domain: undefined, zero: undefined, nice: false, padding: 5 });
        for (const record of Object.values(datasets).flat()) {
          if (record[y.field] !== null && record[y.field] <= 0) record[y.field] = null; // the end of a band
        }
      }
    }
    return { ...spec, datasets };
  }

  const chosen = (section) =>
    [...section.querySelectorAll("[data-control]")].map((control) => control.value).join(" ");

  // Data of figures are JSON, compressed by gzip, as letters of base 64.
  async function unpacked(name) {
    const bytes = Uint8Array.from(atob(document.getElementById(name).textContent), (letter) => letter.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
  }

  async function figure(section) {
    const views = await unpacked(`data-${section.dataset.figure}`);
    const hidden = new Set();
    const plots = [...section.querySelectorAll(".plot")];
    const log = section.querySelector("[data-log]");
    const now = (plot) => views[plot.id][chosen(section)];
    const offer = () => {
      if (log === null) return;
      log.disabled = !plots.some((plot) => isPositive(now(plot)));
      log.title = log.disabled ? "Values that are not positive cannot be shown on a logarithmic axis." : "";
    };
    const description = (plot) => described(now(plot), hidden, log !== null && log.checked && isPositive(now(plot)));
    const draw = async (plot) => {
      offer();
      const fitted = {
        ...withoutLegends(description(plot)),
        description: plot.dataset.title, // what a screen reader calls it
        width: "container",
        height: Number(plot.dataset.height),
        autosize: { type: "fit-x", contains: "padding" },
        config: look.page,
      };
      const former = plot.drawn;
      plot.drawn = await vegaEmbed(plot, fitted, OPTIONS);
      if (former) former.finalize();
      // Marks without a tip, such as rings around dots, have no name to be read out.
      for (const bare of plot.querySelectorAll('[role="graphics-symbol"]:not([aria-label])')) bare.ariaHidden = "true";
    };
    for (const button of section.querySelectorAll("[data-row]")) {
      const row = button.dataset.row;
      button.addEventListener("click", () => {
        if (!hidden.delete(row)) hidden.add(row);
        button.setAttribute("aria-pressed", String(!hidden.has(row)));
        plots.forEach(draw);
      });
    }
    // A file has the colours of a light page, and its own legend.
    for (const button of section.querySelectorAll("[data-save]")) {
      button.addEventListener("click", async () => {
        const plot = document.getElementById(button.dataset.save);
        const { title } = plot.dataset;
        const alone = { ...description(plot), title, description: title, width: 480, height: Number(plot.dataset.height), config: look.file };
        const drawn = await vegaEmbed(document.createElement("div"), alone, OPTIONS);
        const link = document.createElement("a");
        link.download = `${plot.id}.svg`;
        link.href = URL.createObjectURL(new Blob([await drawn.view.toSVG()], { type: "image/svg+xml" }));
        link.click();
        URL.revokeObjectURL(link.href);
        drawn.finalize();
      });
    }
    return plots.map((plot) => () => draw(plot));
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

  async function switched(section) {
    const redraws = section.dataset.figure === undefined ? [] : await figure(section);
    section.addEventListener("change", () => {
      const key = chosen(section);
      for (const view of section.querySelectorAll("[data-key]")) view.hidden = view.dataset.key !== key;
      redraws.forEach((draw) => draw());
    });
    return redraws;
  }

  const printed = (now) => {
    for (const table of document.querySelectorAll(".scroll table")) {
      table.style.zoom = now ? Math.min(1, PRINTED / (table.scrollWidth * PRINT_SCALE)) : "";
    }
    for (const plot of document.querySelectorAll(".plot")) {
      if (plot.drawn) plot.drawn.view.width(now ? PRINTED : plot.clientWidth).run();
    }
  };
  addEventListener("beforeprint", () => printed(true));
  addEventListener("afterprint", () => printed(false));
  // Draw one at a time, so that the page remains responsive.
  const next = async (drawings, index) => {
    if (index < drawings.length) {
      await drawings[index]();
      setTimeout(next, 0, drawings, index + 1);
    }
  };
  Promise.all([...document.querySelectorAll("[data-switch]")].map(switched)).then((all) => next(all.flat(), 0));
})();
