// ---- the report: which runs, what is said of them, and the page as a whole ----------------------
function tell() { // the sentence, the verdict, the advice of the focus
  const run = data.runs[page.focus], story = byId("story");
  story.replaceChildren();
  run.story.forEach((part, at) => {
    const end = at + 1 < run.story.length ? make("span", { className: "arrow" }, " → ") : ".";
    const number = make("b", { className: "part", ariaHidden: "true" }, String(at + 1));
    story.append(...(run.story.length > 1 ? [make("span", { className: "told" }, number, part.text, end)] : [part.text, end]));
  });
  const [kind, ...rest] = run.headline.split(":");
  byId("badge").hidden = rest.length === 0;
  byId("badge").textContent = kind;
  byId("badge").style.background = run.kind;
  byId("verdict").textContent = rest.length ? `${rest.join(":").trim()}.` : `${run.headline}.`;
  byId("numbers").textContent = run.numbers;
  byId("advised").hidden = !run.advice;
  byId("advice").textContent = run.advice;
  byId("code").hidden = !run.code;
  byId("code").firstChild.textContent = run.code;
  byId("about").textContent = run.counted ? `${run.counted}.` : "";
  const rises = byId("rises");
  rises.hidden = run.marks.reasons.length === 0;
  rises.firstChild.textContent = `Every rise of the loss, with its reason (${run.marks.reasons.length})`;
  rises.lastElementChild.replaceChildren(...run.marks.reasons.map(reason => make("li", {}, reason)));
}
function chip(run, index) {
  const box = make("input", { type: "checkbox", checked: page.shown.has(index), disabled: index === page.focus });
  box.setAttribute("aria-label", `Also draw ${run.label}`);
  box.addEventListener("change", () => { also(index, box.checked); });
  const name = make("button", { type: "button", title: `Only ${run.label}` }, swatch(index), run.label);
  name.setAttribute("aria-pressed", String(index === page.focus));
  name.addEventListener("click", () => only(index));
  return make("span", { className: index === page.focus ? "chip focus" : "chip" }, box, name);
}
function drawRuns() {
  const box = byId("runs");
  box.hidden = data.runs.length < 2;
  const all = page.shown.size === data.runs.length;
  const every = make("button", { type: "button", className: "all" }, all ? "Only one" : "Compare all");
  every.addEventListener("click", () => {
    page.shown = all ? new Set([page.focus]) : new Set(data.runs.keys());
    drawAll();
  });
  box.replaceChildren(...data.runs.map(chip), every);
  for (const row of document.querySelectorAll("#table tr[data-run]")) {
    row.classList.toggle("focus", Number(row.dataset.run) === page.focus);
  }
}
function drawAll() {
  drawRuns();
  drawStack();
  drawLoop();
  walk(page.row);
}
function only(run) { // this run and no other
  stop();
  const changed = run !== page.focus;
  page.focus = run;
  page.shown = new Set([run]);
  if (changed) Object.assign(page, { row: 0, range: null });
  tell();
  drawPeriod();
  drawDepth();
  if (changed) page.row = rows().length - 1;
  drawAll();
}
function also(run, drawn) {
  if (drawn) page.shown.add(run); else page.shown.delete(run);
  drawAll();
}
function setAxis(axis) {
  page.axis = axis;
  page.range = null;
  for (const button of byId("axis").children) button.setAttribute("aria-pressed", String(button.value === axis));
  redraw();
}
function redraw() { // all of it, in another theme, width or unit of time
  if (!data.runs.length) return;
  drawAll();
  drawDepth();
  enlarged.forEach(drawSingle);
  walk(page.row);
}
function buttonsOfTime() {
  for (const axis of data.axisNames) {
    const made = make("button", { type: "button", value: axis, textContent: axis });
    made.setAttribute("aria-pressed", String(axis === page.axis));
    made.addEventListener("click", () => setAxis(axis));
    const reason = data.axisMissing[axis];
    made.disabled = Boolean(reason);
    made.title = reason || data.axisLabels[axis];
    byId("axis").append(made);
  }
}
function listenToTable() {
  byId("table").addEventListener("click", event => {
    const button = event.target.closest("button.only");
    if (!button) return;
    only(Number(button.dataset.run));
    byId("charts").scrollIntoView({ block: "nearest" });
  });
}
function listenToCopy() {
  byId("copy").addEventListener("click", async () => {
    const text = byId("code").firstChild.textContent;
    try {
      await navigator.clipboard.writeText(text);
      byId("copy").textContent = "Copied";
    } catch { // a page from a file may not: select it, for the keys of the system
      getSelection().selectAllChildren(byId("code").firstChild);
      byId("copy").textContent = "Selected";
    }
    setTimeout(() => { byId("copy").textContent = "Copy"; }, 1500);
  });
}
function listenToPrinter() { // paper is white and narrow
  const resize = () => {
    for (const box of document.querySelectorAll(".js-plotly-plot")) Plotly.relayout(box, { width: box.closest(".three") ? 335 : 690 });
  };
  const release = () => {
    for (const box of document.querySelectorAll(".js-plotly-plot")) Plotly.relayout(box, { width: null, autosize: true });
  };
  addEventListener("beforeprint", () => { document.documentElement.classList.add("paper"); redraw(); resize(); });
  addEventListener("afterprint", () => { document.documentElement.classList.remove("paper"); release(); redraw(); });
}
async function prepare() { // all that needs no run yet
  await unpack();
  buildStack();
  buttonsOfTime();
  listenToTable();
  listenToCopy();
  listenToPrinter();
  listenToTime();
  byId("measure").addEventListener("change", event => { depth.measure = event.target.value; drawDepth(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  addEventListener("resize", () => { if (data.runs.length) { drawStack(); showCursor(); } });
}
