"use strict";
// Show the views that the controls choose. All numbers are in the page; nothing is computed here.
globalThis.views = (() => {
  const PRINTED = 680; // width of a printed page in pixels
  const looks = () => JSON.parse(document.getElementById("look").textContent);
  const PRINT_SCALE = 0.65; // size of letters in print relative to the screen

  // A number that is missing, such as the interval of few seeds, is left out of a tip.
  const formatTooltip = (lines, sanitize) => {
    const known = Object.entries(lines).filter(([, text]) => !["NaN", "null"].includes(String(text)));
    const cells = known.map(([name, text]) => `<tr><td class="key">${sanitize(name)}</td><td class="value">${sanitize(text)}</td></tr>`);
    return `<table>${cells.join("")}</table>`;
  };
  const OPTIONS = { ast: true, actions: false, renderer: "svg", logLevel: 1, tooltip: { formatTooltip, disableDefaultStyle: true }, defaultStyle: false }; // log errors alone

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
  async function unpacked(text) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
  }

  // A figure with its data, the rows that the reader hides, and its drawings.
  class Figure {
    constructor(section) {
      this.section = section;
      this.hidden = new Set();
      section.addEventListener("click", (event) => {
        const row = event.target.closest("[data-row]");
        const save = event.target.closest("[data-save]");
        if (row) this.toggle(row.dataset.row);
        if (save) this.save(document.getElementById(save.dataset.save));
      });
    }

    get plots() {
      return [...this.section.querySelectorAll(".plot")];
    }

    get log() {
      return this.section.querySelector("[data-log]");
    }

    // Read the data; drawings of former ones are old.
    async load() {
      const text = document.getElementById(`data-${this.section.dataset.figure}`).textContent;
      if (text === this.text) return;
      this.views = await unpacked(text);
      this.text = text;
      for (const plot of this.plots) plot.isOld = true;
    }

    view(plot) {
      return this.views[plot.id][chosen(this.section)];
    }

    isLogarithmic(plot) {
      return this.log !== null && this.log.checked && isPositive(this.view(plot));
    }

    describe(plot) {
      return described(this.view(plot), this.hidden, this.isLogarithmic(plot));
    }

    toggle(row) {
      if (!this.hidden.delete(row)) this.hidden.add(row);
      this.plots.forEach((plot) => this.draw(plot));
    }

    offer() {
      for (const button of this.section.querySelectorAll("[data-row]")) {
        button.setAttribute("aria-pressed", String(!this.hidden.has(button.dataset.row)));
      }
      if (this.log === null) return;
      this.log.disabled = !this.plots.some((plot) => isPositive(this.view(plot)));
      this.log.title = this.log.disabled ? "Values that are not positive cannot be shown on a logarithmic axis." : "";
    }

    async draw(plot) {
      plot.isOld = false;
      this.offer();
      const fitted = {
        ...withoutLegends(this.describe(plot)),
        description: plot.dataset.title, // what a screen reader calls it
        width: "container",
        height: Number(plot.dataset.height),
        autosize: { type: "fit-x", contains: "padding" },
        config: looks().page,
      };
      const former = plot.drawn;
      plot.drawn = await vegaEmbed(plot, fitted, OPTIONS);
      if (former) former.finalize();
      // Marks without a tip, such as rings around dots, have no name to be read out.
      for (const bare of plot.querySelectorAll('[role="graphics-symbol"]:not([aria-label])')) bare.ariaHidden = "true";
    }

    // A file has the colours of a light page, and its own legend.
    async save(plot) {
      const { title } = plot.dataset;
      const size = { width: 480, height: Number(plot.dataset.height) };
      const alone = { ...this.describe(plot), title, description: title, ...size, config: looks().file };
      const drawn = await vegaEmbed(document.createElement("div"), alone, OPTIONS);
      const link = document.createElement("a");
      link.download = `${plot.id}.svg`;
      link.href = URL.createObjectURL(new Blob([await drawn.view.toSVG()], { type: "image/svg+xml" }));
      link.click();
      URL.revokeObjectURL(link.href);
      drawn.finalize();
    }
  }

  // A click on a head sorts the rows by its column, a second one the other way round.
  const number = (text) => (/^[-+]?\d[\d.]*(e[-+]?\d+)?( |$)/.test(text) ? parseFloat(text) : NaN);
  const compare = (a, b) => {
    const [x, y] = [number(a), number(b)];
    if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y) || a.localeCompare(b);
    return x - y;
  };

  function sort(head) {
    const body = head.closest("table").tBodies[0];
    const direction = head.getAttribute("aria-sort") === "ascending" ? 1 : -1;
    const text = (row) => row.cells[head.cellIndex].textContent.trim();
    body.append(...[...body.rows].sort((a, b) => compare(text(a), text(b)) * direction));
  }

  function sortable(table) {
    const heads = [...table.tHead.rows[0].cells];
    for (const head of heads.filter((one) => one.querySelector("button") === null)) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const rising = head.getAttribute("aria-sort") !== "ascending";
        for (const other of heads) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", rising ? "ascending" : "descending");
        sort(head);
      });
    }
    heads.filter((head) => head.hasAttribute("aria-sort")).forEach(sort);
  }

  function show(section) {
    const key = chosen(section);
    for (const view of section.querySelectorAll("[data-key]")) view.hidden = view.dataset.key !== key;
  }

  // Prepare a section, or one whose content has changed; return its drawings.
  async function prepare(section) {
    if (!section.isPrepared) {
      section.isPrepared = true;
      section.addEventListener("change", () => {
        show(section);
        if (section.figure) section.figure.plots.forEach((plot) => section.figure.draw(plot));
      });
      if (section.dataset.figure !== undefined) section.figure = new Figure(section);
    }
    show(section);
    if (!section.figure) return [];
    await section.figure.load();
    const old = section.figure.plots.filter((plot) => plot.isOld || !plot.drawn);
    return old.map((plot) => () => section.figure.draw(plot));
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

  // Prepare the tables and figures of a part of the page, again after its content has changed.
  async function enhance(root) {
    root.querySelectorAll("table[data-sortable]").forEach(sortable);
    const all = await Promise.all([...root.querySelectorAll("[data-switch]")].map(prepare));
    await next(all.flat(), 0);
  }
  return { enhance };
})();
views.enhance(document);
