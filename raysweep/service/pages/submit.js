"use strict";
// The editor of sweep files: numbers of lines, and a check while it is typed.
(() => {
  const PAUSE_MS = 500;
  const form = document.getElementById("submission");
  const editor = document.getElementById("text");
  const gutter = document.getElementById("gutter");
  const verdict = document.getElementById("verdict");
  let wrong = new Set();

  function numberLines() {
    const count = editor.value.split("\n").length;
    const lines = Array.from({ length: count }, (_, index) => {
      const line = document.createElement("span");
      line.textContent = `${index + 1}\n`;
      if (wrong.has(index + 1)) line.className = "wrong";
      return line;
    });
    gutter.replaceChildren(...lines);
    scroll();
  }

  const scroll = () => { gutter.scrollTop = editor.scrollTop; };

  function moveTo(line) {
    const lines = editor.value.split("\n");
    const start = lines.slice(0, line - 1).reduce((sum, text) => sum + text.length + 1, 0);
    editor.focus();
    editor.setSelectionRange(start, start + (lines[line - 1] || "").length);
    const height = editor.scrollHeight / lines.length;
    editor.scrollTop = Math.max(0, (line - 4) * height);
    editor.scrollLeft = 0;
  }

  const paragraph = (text, kind) => Object.assign(document.createElement("p"), { textContent: text, className: kind });
  const counted = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;

  function showMistakes(mistakes) {
    const list = document.createElement("ol");
    list.className = "mistakes";
    for (const { line, message } of mistakes) {
      const entry = document.createElement("li");
      if (line) {
        const link = Object.assign(document.createElement("a"), { href: "#text", textContent: `line ${line}` });
        entry.dataset.line = line;
        entry.append(link, ": ");
      }
      entry.append(message);
      list.append(entry);
    }
    verdict.replaceChildren(paragraph(`${counted(mistakes.length, "mistake")}:`, "bad"), list);
    mark(mistakes);
  }

  function showSize({ name, planned, arms, exists }) {
    const runs = planned === null ? "as many runs as the budget allows" : counted(planned, "run");
    const more = exists ? ` The sweep ${name} exists: submitting continues it with this file.` : "";
    verdict.replaceChildren(paragraph(`No mistake: ${runs} of ${counted(arms, "arm")}.${more}`, "good"));
    mark([]);
  }

  function mark(mistakes) {
    wrong = new Set(mistakes.map(({ line }) => line));
    if (mistakes.length) editor.setAttribute("aria-invalid", "true");
    else editor.removeAttribute("aria-invalid");
    numberLines();
  }

  let asked = 0;
  async function check() {
    const number = (asked += 1);
    if (!editor.value.trim()) {
      verdict.replaceChildren();
      mark([]);
      return;
    }
    try {
      const response = await fetch(`/api/v1/sweeps/check?smoke=${form.elements.smoke.checked}`, {
        method: "POST",
        headers: { "Content-Type": "application/yaml", "X-CSRF-Token": form.elements.csrf_token.value },
        body: editor.value,
      });
      const answer = await response.json();
      if (number !== asked) return; // of an earlier text
      if (response.ok) showSize(answer);
      else if (Array.isArray(answer)) showMistakes(answer);
      else verdict.replaceChildren(paragraph(answer.detail, "bad"));
    } catch {
      if (number === asked) verdict.replaceChildren(paragraph("The service does not answer; the file is not checked.", "bad"));
    }
  }

  let timer;
  editor.addEventListener("input", () => {
    numberLines();
    clearTimeout(timer);
    timer = setTimeout(check, PAUSE_MS);
  });
  form.elements.smoke.addEventListener("change", check);
  editor.addEventListener("scroll", scroll);
  verdict.addEventListener("click", (event) => {
    const entry = event.target.closest("[data-line]");
    if (!entry || event.target.tagName !== "A") return;
    event.preventDefault();
    moveTo(Number(entry.dataset.line));
  });
  form.elements.file.addEventListener("change", async (event) => {
    const [file] = event.target.files;
    if (!file) return;
    editor.value = await file.text();
    event.target.value = ""; // what is sent is the text
    numberLines();
    check();
  });
  wrong = new Set([...verdict.querySelectorAll("[data-line]")].map((entry) => Number(entry.dataset.line)));
  numberLines();
  if (editor.value.trim() && wrong.size === 0) check();
})();
