"use strict";
// Pages that keep themselves up to date: the server renders them again, and what differs is changed in place.
(() => {
  const FRAGMENT = { "X-Fragment": "1", Accept: "text/html" };
  const KEPT = new Set(["hidden", "open", "aria-pressed", "aria-sort", "aria-busy", "tabindex"]); // as the reader left them
  const AGAIN_MS = 2000; // after which a part is loaded again at the earliest
  const SPOKEN_MS = 20_000; // between announcements of new results
  const main = document.getElementById("main");
  const news = document.getElementById("news");
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

  // Times are in the time zone of the reader.
  const local = new Intl.DateTimeFormat("sv-SE", {
    year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", timeZoneName: "short",
  });
  function localTimes(root) {
    for (const time of root.querySelectorAll("time[datetime]")) time.textContent = local.format(new Date(time.dateTime));
  }

  function say(text, isShown = false) {
    news.classList.toggle("shown", isShown);
    if (news.textContent !== text) news.textContent = text;
  }

  // The content of a page, without what is around it.
  async function fetched(address) {
    const response = await fetch(address, { headers: FRAGMENT });
    if (response.status === 401) {
      location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
      await new Promise(() => {});
    }
    const text = await response.text();
    if (!response.ok) throw Object.assign(new Error(reason(text)), { status: response.status });
    const content = new DOMParser().parseFromString(text, "text/html").body;
    content.isOld = response.headers.has("X-Old");
    localTimes(content);
    return content;
  }

  function reason(text) {
    try {
      const data = JSON.parse(text);
      return Array.isArray(data) ? data.map((one) => one.message).join("; ") : data.detail;
    } catch {
      return "the service failed";
    }
  }

  // Change one element into another, so that focus, choices and scroll positions stay.
  function morph(old, fresh) {
    for (const { name } of [...old.attributes]) {
      if (!KEPT.has(name) && !fresh.hasAttribute(name)) old.removeAttribute(name);
    }
    for (const { name, value } of fresh.attributes) {
      if (!KEPT.has(name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    if (old.dataset.part !== undefined || old.classList.contains("plot")) return; // filled by scripts
    if (old.matches("table[data-sortable] thead") && old.textContent === fresh.textContent) return;
    if (!old.isEqualNode(fresh)) morphContent(old, fresh);
  }

  function morphContent(old, fresh) {
    const named = new Map([...old.children].filter((child) => child.id).map((child) => [child.id, child]));
    const ids = new Set([...fresh.children].map((child) => child.id));
    let at = old.firstChild;
    const drop = () => {
      const next = at.nextSibling;
      at.remove();
      at = next;
    };
    for (const wanted of [...fresh.childNodes]) {
      while (at && at.id && !ids.has(at.id)) drop();
      const other = wanted.id ? named.get(wanted.id) : at;
      const isSame = other && other.nodeName === wanted.nodeName && (wanted.id || "") === (other.id || "");
      if (!isSame) {
        old.insertBefore(wanted, at);
        continue;
      }
      if (other === at) at = at.nextSibling;
      else old.insertBefore(other, at);
      if (other.nodeType === Node.ELEMENT_NODE) morph(other, wanted);
      else if (other.nodeValue !== wanted.nodeValue) other.nodeValue = wanted.nodeValue;
    }
    while (at) drop();
  }

  // Choices are kept by their texts, as a new metric changes their order.
  const controls = (root) => [...root.querySelectorAll("select[data-control]")];
  function choose(select, text) {
    const option = [...select.options].find((one) => one.text === text);
    if (option) option.selected = true;
  }
  function keepingChoices(root, change) {
    const before = new Map(controls(root).map((one) => [one.id, one.selectedOptions[0].text]));
    change();
    for (const select of controls(root)) choose(select, before.get(select.id));
  }

  // They are in the address, too, so that it shows others the same.
  function addressChoices() {
    main.addEventListener("change", ({ target }) => {
      if (!target.matches("select[data-control]")) return;
      const query = new URLSearchParams(location.search);
      if (target.selectedIndex === 0) query.delete(target.id);
      else query.set(target.id, target.selectedOptions[0].text);
      history.replaceState(null, "", query.size ? `?${query}` : location.pathname);
    });
  }
  function restoreChoices(root) {
    const query = new URLSearchParams(location.search);
    for (const select of controls(root)) choose(select, query.get(select.id));
  }

  // A part of the page that is loaded after it, when it is near the window.
  class Part {
    constructor(element) {
      this.element = element;
      this.address = element.dataset.part;
      this.notBefore = 0;
      element.addEventListener("submit", (event) => this.ask(event));
    }

    get isWanted() {
      const details = this.element.closest("details");
      return (details === null || details.open) && this.isNear;
    }

    get isOld() {
      return this.loaded !== (this.element.dataset.version || "");
    }

    async load() {
      if (this.isLoading || !this.isWanted || !this.isOld) return;
      this.isLoading = true;
      await pause(Math.max(0, this.notBefore - performance.now()));
      const version = this.element.dataset.version || "";
      if (this.loaded === undefined) this.element.setAttribute("aria-busy", "true");
      try {
        const content = await fetched(this.address);
        if (this.loaded !== undefined && !content.isOld) announce(`${this.element.dataset.title} updated.`);
        this.fill(content);
        this.loaded = content.isOld ? null : version;
        this.notBefore = performance.now() + AGAIN_MS;
        await this.enhance();
      } catch (error) {
        this.notBefore = performance.now() + 10_000;
        if (this.loaded === undefined) this.fail(error);
      }
      this.element.removeAttribute("aria-busy");
      this.isLoading = false;
      if (this.isOld) setTimeout(() => this.load(), 1000);
    }

    fill(content) {
      if (this.loaded === undefined) {
        this.element.replaceChildren(...content.childNodes);
        restoreChoices(this.element);
      } else keepingChoices(this.element, () => morphContent(this.element, content));
    }

    async enhance() {
      if (this.element.querySelector("[data-figure]")) await vega();
      if (globalThis.views) await globalThis.views.enhance(this.element);
    }

    fail(error) {
      const text = document.createElement("p");
      text.className = "bad";
      text.textContent = `${this.element.dataset.title} cannot be shown: ${error.message || "no answer from the service"}`;
      this.element.replaceChildren(text);
      if (error.status && error.status < 500) this.loaded = this.element.dataset.version || "";
    }

    // A form in a part asks for another content of it.
    async ask(event) {
      event.preventDefault();
      const query = new URLSearchParams(new FormData(event.target));
      this.address = `${new URL(event.target.action).pathname}?${query}`;
      this.loaded = this.loaded === undefined ? undefined : null;
      this.notBefore = 0;
      await this.load();
    }
  }

  let vegaLoaded;
  function vega() {
    vegaLoaded ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = main.dataset.vega;
      script.addEventListener("load", resolve);
      script.addEventListener("error", () => reject(new Error("the program that draws figures was not loaded")));
      document.head.append(script);
    });
    return vegaLoaded;
  }

  const near = new IntersectionObserver(
    (seen) => {
      for (const { target, isIntersecting } of seen) {
        target.loader.isNear = isIntersecting;
        if (isIntersecting) target.loader.load();
      }
    },
    { rootMargin: "800px 0px" },
  );
  function loadParts() {
    for (const element of main.querySelectorAll("[data-part]")) {
      if (element.loader) element.loader.load();
      else {
        element.loader = new Part(element);
        near.observe(element);
      }
    }
  }

  let spokenAt = -SPOKEN_MS;
  function announce(text) {
    if (performance.now() - spokenAt < SPOKEN_MS) return;
    spokenAt = performance.now();
    say(text);
  }

  // Load the page's content again; after a failure a line says that it is old.
  let isRefreshing = false;
  async function refresh() {
    if (isRefreshing || document.hidden) return;
    isRefreshing = true;
    try {
      const state = text(".top .state");
      const content = await fetched(location.href);
      const focused = document.activeElement;
      morphContent(main, content);
      if (focused !== document.activeElement && document.contains(focused)) focused.focus();
      if (news.classList.contains("shown")) say("");
      if (state !== null && text(".top .state") !== state) {
        say(`The sweep is ${text(".top .state")}.`);
        document.title = document.title.replace(state, text(".top .state"));
      }
      loadParts();
    } catch (error) {
      if (error.status === 404) say("This is no longer in the store.", true);
      else if (error.status === 429) say("Too many requests; this page updates itself again soon.", true);
      else say("The service does not answer; what is shown is old.", true);
    }
    isRefreshing = false;
  }

  function text(selector) {
    const element = main.querySelector(selector);
    return element && element.textContent.trim();
  }

  // Events say when a sweep changes; between them, and for other pages, time does.
  function watch() {
    const address = main.dataset.events;
    let source = null;
    let isDue = false;
    const listen = () => {
      const isOpen = ["queued", "running"].some((state) => main.querySelector(`.top .state.${state}`));
      if (!address || source || document.hidden || !isOpen) return;
      source = new EventSource(address);
      const changed = () => { isDue = true; };
      source.addEventListener("progress", changed);
      source.addEventListener("end", () => { changed(); unlisten(); });
      source.addEventListener("error", () => {
        changed();
        if (source && source.readyState === EventSource.CLOSED) unlisten();
      });
    };
    const unlisten = () => {
      if (source) source.close();
      source = null;
    };
    // A browser has few connections; a page that is not seen needs none.
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) unlisten();
      else isDue = true;
    });
    let waited = 0;
    setInterval(async () => {
      waited += 1;
      if (!isDue && waited < Number(main.dataset.live)) return;
      isDue = false;
      waited = 0;
      await refresh();
      listen();
    }, 1000);
    listen();
  }

  // Filters of a list act while they are typed.
  function filter(form) {
    let timer;
    const apply = async () => {
      const query = new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== ""));
      history.replaceState(null, "", query.size ? `?${query}` : location.pathname);
      await refresh();
      say(text("#count") || text("#empty") || "");
    };
    form.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(apply, 300);
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      apply();
    });
  }

  document.documentElement.classList.add("has-scripts");
  localTimes(document);
  addressChoices();
  loadParts();
  main.addEventListener("toggle", loadParts, true);
  const filters = document.getElementById("filters");
  if (filters) filter(filters);
  if (main.dataset.live) watch();
})();
