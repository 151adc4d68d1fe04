// ---- live: asks what has changed, joins the runs, and draws anew --------------------------------
const pieces = []; // what is known of each run, and its versions
const ORDER = ["loss", "effective_lr", "norm", "test_error"];
const EVERY = 1000; // milliseconds

function joined() { // the pieces as the data of one page
  const clocks = [], panels = new Map(), runs = [];
  let loop = null;
  for (const piece of pieces) {
    const first = clocks.length;
    clocks.push(...piece.clocks);
    const moved = trace => ({ ...trace, clock: trace.clock === null ? null : trace.clock + first });
    for (const panel of piece.panels) {
      const there = panels.get(panel.name);
      if (there) there.traces.push(...panel.traces.map(moved));
      else panels.set(panel.name, { ...panel, traces: panel.traces.map(moved) });
    }
    if (loop) loop.traces.push(...piece.loop.traces.map(moved));
    else loop = { ...piece.loop, traces: piece.loop.traces.map(moved) };
    const { marks, depth, pending } = piece.run;
    const still = pending ? { story: [{ panel: "", text: pending }], headline: `${pending} …`, numbers: "", advice: "", code: "" } : {};
    runs.push({ ...piece.run, ...still, marks: { ...marks, clock: marks.clock + first, peaks: marks.peaks + first },
      depth: depth && { ...depth, clock: depth.clock + first }, period: { text: "", panels: [] } });
  }
  const missing = {};
  for (const { common } of pieces) for (const [axis, why] of Object.entries(common.axisMissing)) missing[axis] ||= why;
  return { clocks, runs, loop, axisMissing: missing, panels: ORDER.filter(name => panels.has(name)).map(name => panels.get(name)) };
}
function take(answer) {
  for (const [at, piece] of Object.entries(answer.runs)) {
    [...piece.panels, piece.loop].forEach(unpackTraces);
    pieces[at] = piece;
  }
  const names = data.panels.map(panel => panel.name).join(), last = page.row >= rows().length - 1;
  Object.assign(data, joined());
  times.clear();
  if (answer.state.table) byId("table").innerHTML = answer.state.table; // made of escaped texts
  for (const button of byId("axis").children) button.disabled = Boolean(data.axisMissing[button.value]);
  if (data.panels.map(panel => panel.name).join() !== names) buildStack();
  if (last) page.row = rows().length - 1;
  const none = rows().length === 0; // of a run that has only begun
  byId("charts").hidden = byId("explanation").hidden = none;
  byId("answer").hidden = false;
  tell();
  drawRuns();
  if (none) return;
  drawAll();
  drawDepth();
}
function news(state) { // one line on top: what goes on
  const going = state.states.filter(each => each === "running").length, run = data.runs[page.focus];
  const parts = [];
  if (state.states.length === 0) parts.push("waiting for a run to begin");
  else if (going === 0) parts.push(state.states.length === 1 ? `the run has ended (${state.states[0]})` : "all runs have ended");
  else parts.push(state.states.length === 1 ? "training goes on" : `${going} of ${state.states.length} runs go on`);
  if (run && run.forecast) {
    const { low, high, alarm } = run.forecast, step = value => Math.round(value).toLocaleString("en");
    parts.push(alarm ? "a jump is about to begin" : `next jump: step ${step(low)} to ${step(high)}, eight times of ten`);
  }
  byId("live-text").textContent = [...parts, ...state.problems].join(" · ");
  byId("live").classList.toggle("still", going === 0);
}
async function ask() {
  const began = performance.now();
  const seen = pieces.map(piece => piece.version || 0).join(".");
  const answer = await fetch(`${data.live.state}?seen=${seen}`, { headers: { "X-Limitcycle-Token": data.live.token }, cache: "no-store" });
  if (!answer.ok) throw new Error(await answer.text());
  const told = await answer.json();
  if (Object.keys(told.runs).length) take(told);
  told.state.versions.forEach((version, at) => { if (pieces[at]) pieces[at].version = version; });
  news(told.state);
  document.body.dataset.steps = String(Math.max(-1, ...data.runs.map((_, run) => lastStep(run))));
  document.body.dataset.took = String(performance.now() - began);
  return told.state;
}
function lastStep(run) {
  const panel = data.panels.find(each => walked(each, run));
  const steps = panel ? time(walked(panel, run).clock, "steps") : [];
  return steps.length ? steps[steps.length - 1] : -1;
}
async function beginLive() {
  if (tooOld()) return;
  await prepare();
  byId("charts").hidden = byId("answer").hidden = byId("explanation").hidden = true;
  document.querySelector("h1").after(make("p", { id: "live" }, make("i"), make("span", { id: "live-text" }, "…")));
  byId("live").setAttribute("role", "status");
  for (;;) {
    try {
      const state = await ask();
      if (!document.body.dataset.ready && pieces.length) document.body.dataset.ready = "true";
      if (state.over) return;
    } catch { // the command has ended: what is drawn stays
      byId("live").classList.add("still");
      byId("live-text").textContent = "The command has ended; this is the last that it told. limitcycle report draws the whole run.";
      return;
    }
    await new Promise(resolve => setTimeout(resolve, document.hidden ? 5 * EVERY : EVERY));
  }
}
await beginLive();
