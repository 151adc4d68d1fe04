// ---- the walk through time: slider, keys, play --------------------------------------------------
function focusTrace() {
  const panel = data.panels.find(each => walked(each, page.focus));
  return panel && walked(panel, page.focus);
}
function rows(axis = page.axis) {
  const trace = focusTrace();
  return trace ? time(trace.clock, axis) : new Float64Array(0);
}
const PHASES = {
  A: "phase A: the loss is high and falls, the gradient makes the norm grow",
  B: "phase B: the loss is low, weight decay shrinks the norm, the effective learning rate climbs",
  C: "phase C: training is thrown out of its minimum",
};
function sentence(row) {
  const run = data.runs[page.focus], step = rows("steps")[row];
  run.starts ??= decode(run.phaseStarts);
  const now = step >= run.starts[0] ? run.phases[rowAt(run.starts, step)] : "";
  const parts = [`step ${step.toLocaleString("en")}`];
  if (now) parts.push(PHASES[now]);
  data.panels.forEach(panel => {
    const value = valueAt(panel, page.focus, rows()[row]);
    if (Number.isFinite(value)) parts.push(`${panel.title.toLowerCase()} ${short(value)}`);
  });
  const loop = data.loop && walked(data.loop, page.focus);
  if (loop && run.threshold && Number.isFinite(loop.across[row] * loop.values[row])) {
    parts.push(loop.across[row] * loop.values[row] > run.threshold ? "above the line of balance: the norm grows" : "below the line of balance: the norm shrinks");
  }
  return parts.join(" · ");
}
function showCursor() { // where the slider stands
  const along = rows();
  crosshair(along.length ? along[page.row] : NaN);
}
function walk(row) {
  const along = rows();
  page.row = Math.max(0, Math.min(along.length - 1, row));
  const slider = byId("slider");
  slider.max = String(Math.max(0, along.length - 1));
  slider.value = String(page.row);
  const text = along.length ? sentence(page.row) : "This run has no rows to walk along.";
  slider.setAttribute("aria-valuetext", text);
  byId("readout").textContent = text;
  showCursor();
  const step = rows("steps")[page.row];
  const singles = [...(data.loop && data.loop.div && data.loop.div.classList.contains("plot") ? [data.loop] : []), ...enlarged];
  for (const panel of singles) Plotly.relayout(panel.div, { shapes: pointOn(panel, page.row, step) });
}
let playing = 0;
function stop() {
  cancelAnimationFrame(playing);
  playing = 0;
  byId("play").setAttribute("aria-label", "Play");
}
function play() {
  if (playing) return stop();
  const last = rows().length - 1, stride = Math.max(1, Math.round(last / 1500));
  if (page.row >= last) page.row = 0;
  byId("play").setAttribute("aria-label", "Pause");
  const tick = () => {
    walk(page.row + stride);
    if (page.row >= last) stop(); else playing = requestAnimationFrame(tick);
  };
  playing = requestAnimationFrame(tick);
}
function toJump(direction) { // the next or the last one, from where the cursor is
  const { marks } = data.runs[page.focus], along = rows("steps"), now = along[page.row];
  const steps = Array.from(time(marks.clock, "steps")).filter((_, index) => marks.jumps[index]);
  const next = direction > 0 ? steps.find(step => step > now) : steps.reverse().find(step => step < now);
  if (next !== undefined) walk(rowAt(along, next));
}
function closer(factor) { // enlarge about the cursor
  const whole = extent();
  if (!whole) return;
  const [from, to] = page.range || whole, at = rows()[page.row];
  const low = Math.max(whole[0], at - (at - from) * factor), high = Math.min(whole[1], at + (to - at) * factor);
  zoom(low <= whole[0] && high >= whole[1] ? null : [low, high]);
}
function moved(share) { // rows that a key goes on: a share of what is shown
  const along = rows(), [from, to] = page.range || extent() || [0, 1];
  const when = along[page.row] + share * (to - from), row = rowAt(along, when);
  return row === page.row ? page.row + Math.sign(share) : row;
}
const KEYS = {
  ArrowRight: () => walk(moved(.005)), ArrowLeft: () => walk(moved(-.005)),
  PageDown: () => toJump(1), PageUp: () => toJump(-1),
  Home: () => walk(0), End: () => walk(rows().length - 1),
  "+": () => closer(.5), "=": () => closer(.5), "-": () => closer(2), Escape: () => zoom(null),
};
function listenToTime() {
  const box = byId("stack");
  box.addEventListener("keydown", event => {
    if (!KEYS[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    KEYS[event.key]();
  });
  const timeAt = event => {
    const left = event.clientX - stack.plot.getBoundingClientRect().left - SPACE.left;
    return stack.plot._fullLayout.xaxis.p2d(left);
  };
  box.addEventListener("pointermove", event => { if (!playing) crosshair(timeAt(event)); });
  box.addEventListener("pointerleave", showCursor);
  box.addEventListener("click", event => walk(rowAt(rows(), timeAt(event))));
  byId("slider").addEventListener("input", event => walk(Number(event.target.value)));
  byId("play").addEventListener("click", play);
  byId("unzoom").addEventListener("click", () => zoom(null));
}
