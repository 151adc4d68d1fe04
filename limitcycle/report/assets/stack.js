// ---- the charts on one time axis: one plot, so that they are aligned to the pixel --------------
const SPACE = { left: 64, right: 16, title: 27, foot: 40, least: 84 };
const stack = { height: 0, titles: [], hair: null };

function panelHeight() {
  const count = data.panels.length, room = innerHeight - (innerWidth < 800 ? 470 : 400) - SPACE.foot;
  return Math.round(Math.min(190, Math.max(SPACE.least, room / count - SPACE.title)));
}
function buildStack() {
  const box = byId("stack");
  box.replaceChildren();
  stack.plot = make("div", { className: "plots" });
  stack.hair = make("div", { className: "hair", hidden: true });
  stack.when = make("div", { className: "when", hidden: true });
  stack.reason = make("div", { className: "reason", hidden: true });
  stack.titles = data.panels.map(panel => {
    const number = make("b", { className: "part", hidden: true });
    const name = make("span", {}, panel.title);
    const unit = make("small", {}, unitOf(panel));
    const keys = make("span", { className: "keys-of-lines" });
    const values = make("span", { className: "values" });
    const dots = make("div", { className: "dots" });
    box.append(dots);
    return { number, keys, values, dots, row: make("div", { className: "over" }, number, name, unit, keys, values) };
  });
  box.append(stack.plot, ...stack.titles.map(each => each.row), stack.hair, stack.when, stack.reason);
}
function unitOf(panel) { // what the title does not say already
  const label = plain(panel.y.title.text);
  return label.includes(", ") ? label.split(", ").pop() : label.split(" ").filter(word => /[ρη]/.test(word)).join(" ");
}
const MARKS = "y"; // the axis of what runs through all panels: the first one, so that it lies behind them
const yName = (at, prefix = "y") => `${prefix}${at + 2}`;

function stackTraces() {
  const traces = [];
  data.panels.forEach((panel, at) => {
    const order = [...panel.traces].sort((a, b) => (a.run === page.focus) - (b.run === page.focus));
    for (const trace of order) {
      if (!page.shown.has(trace.run)) continue;
      if (trace.mode === "markers" && trace.run === page.focus) continue; // its jumps are lines
      const behind = trace.run !== page.focus && trace.opacity === 1;
      traces.push({ ...trace, x: time(trace.clock), y: trace.values, yaxis: yName(at), hoverinfo: "skip", hovertemplate: null,
        connectgaps: false, opacity: behind ? .6 : trace.opacity, showlegend: false });
    }
  });
  const run = data.runs[page.focus];
  return [...markLines(run, false), ...markLines(run, true), ...traces];
}
function markLines(run, jump) { // through all panels, on an axis of their own
  const at = time(run.marks.clock), x = [], y = [];
  run.marks.jumps.forEach((is, index) => {
    if (is !== jump) return;
    x.push(at[index], at[index], null);
    y.push(0, 1, null);
  });
  const line = jump ? { color: css("--jump"), width: 1.2 } : { color: css("--soft"), width: 1, dash: "2px 4px" };
  return x.length ? [{ type: "scatter", mode: "lines", x, y, yaxis: MARKS, line, hoverinfo: "skip",
    opacity: jump ? .7 : .6, showlegend: false, name: jump ? "jumps" : "other rises" }] : [];
}
function extent() { // of time, over the runs that are shown
  let low = Infinity, high = -Infinity;
  for (const trace of data.panels.flatMap(panel => panel.traces)) {
    const when = time(trace.clock);
    if (!page.shown.has(trace.run) || !when.length) continue;
    low = Math.min(low, when[0]);
    high = Math.max(high, when[when.length - 1]);
  }
  for (const run of page.shown) high = Math.max(high, forecastEnd(data.runs[run], high));
  return low < high ? [low - .01 * (high - low), high + .01 * (high - low)] : undefined;
}
function forecastEnd(run, last) { // in steps: only a run that goes on has a forecast, and the axis of steps then
  return run.forecast && page.axis === "steps" ? Math.min(run.forecast.high, 1.6 * last) : -Infinity;
}
function heights(panel, [from, to]) { // of what is shown of a panel, with a little room
  let low = Infinity, high = -Infinity;
  for (const trace of panel.traces) {
    if (!page.shown.has(trace.run)) continue;
    const when = time(trace.clock);
    for (let row = 0; row < when.length; row++) {
      const value = trace.values[row];
      if (when[row] < from || when[row] > to || !Number.isFinite(value)) continue;
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  if (!(low <= high)) return undefined;
  if (panel.y.type === "log") [low, high] = [Math.log10(low), Math.log10(high)];
  const room = .06 * (high - low) || .1;
  return [low - room, high + room];
}
const RAISED = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };
function tickText(value) {
  if (value >= .0099 && value < 9999) return String(+value.toPrecision(2));
  const power = Math.floor(Math.log10(value) + 1e-9), front = +(value / 10 ** power).toPrecision(1);
  return `${front === 1 ? "" : `${front}·`}10${[...String(power)].map(sign => RAISED[sign]).join("")}`;
}
function ticked(panel, range) { // a few round values: decades, or 1, 2 and 5 where there are few of these
  if (!range || panel.y.type !== "log") return { range, nticks: 4 };
  const decades = range[1] - range[0], values = [];
  const stride = Math.max(1, Math.ceil(decades / 4)), fronts = decades > 2 ? [1] : decades > 1 ? [1, 3] : [1, 2, 3, 5, 7];
  for (let power = Math.floor(range[0]); power <= range[1]; power++) {
    if (fronts.length === 1 && power % stride) continue;
    values.push(...fronts.map(front => front * 10 ** power));
  }
  return { range, tickvals: values, ticktext: values.map(tickText) };
}
function bands() { // where the next jump is to be expected
  const run = data.runs[page.focus];
  if (!run.forecast || page.axis !== "steps") return [];
  const band = { type: "rect", xref: "x", yref: "paper", y0: 0, y1: 1, layer: "below", line: { width: 0 } };
  const { low, median, high } = run.forecast;
  return [{ ...band, x0: low, x1: high, fillcolor: css("--jump"), opacity: .12 },
    { type: "line", xref: "x", yref: "paper", x0: median, x1: median, y0: 0, y1: 1, layer: "below",
      line: { color: css("--jump"), width: 1.5, dash: "dash" } }];
}
function stackLayout() {
  const count = data.panels.length, height = panelHeight(), whole = count * (height + SPACE.title);
  const range = page.range || extent();
  stack.height = whole;
  const layout = {
    height: whole + SPACE.foot, margin: { l: SPACE.left, r: SPACE.right, t: 0, b: SPACE.foot }, showlegend: false, hovermode: false,
    dragmode: "zoom", paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: font(), shapes: bands(),
    xaxis: { title: { text: data.axisLabels[page.axis], standoff: 4 }, range: range && [...range], gridcolor: css("--grid"), zeroline: false,
      anchor: yName(count - 1), ticks: "outside", ticklen: 4, tickcolor: css("--line") },
  };
  data.panels.forEach((panel, at) => {
    const top = at * (height + SPACE.title) + SPACE.title;
    layout[yName(at, "yaxis")] = { type: panel.y.type, domain: [1 - (top + height) / whole, 1 - top / whole], fixedrange: true,
      gridcolor: css("--grid"), zeroline: false, ...ticked(panel, range && heights(panel, range)), tickfont: { size: 11, color: css("--soft") } };
  });
  layout.yaxis = { domain: [0, 1], range: [0, 1], fixedrange: true, visible: false };
  return layout;
}
function drawStack() {
  const height = panelHeight();
  stack.titles.forEach((title, at) => {
    title.row.style.top = `${at * (height + SPACE.title)}px`;
    const parts = data.runs[page.focus].story, part = parts.findIndex(each => each.panel === data.panels[at].name);
    title.number.hidden = part < 0 || parts.length < 2;
    title.number.textContent = String(part + 1);
  });
  const { jumps } = data.runs[page.focus].marks, kinds = [];
  if (jumps.includes(true)) kinds.push(make("span", { className: "jump" }, "jump"));
  if (jumps.includes(false)) kinds.push(make("span", { className: "other" }, "other rise of the loss"));
  if (bands().length) kinds.push(make("span", { className: "band" }, "next jump, 8 times of 10"));
  stack.titles[0].keys.replaceChildren(...kinds);
  byId("unzoom").hidden = !page.range;
  const drawn = Plotly.react(stack.plot, stackTraces(), stackLayout(), { displayModeBar: false, responsive: true, doubleClick: false });
  if (!stack.listens) listenToZoom();
  return drawn;
}
function listenToZoom() {
  stack.listens = true;
  stack.plot.on("plotly_relayout", change => {
    if (change["xaxis.range[0]"] !== undefined) zoom([change["xaxis.range[0]"], change["xaxis.range[1]"]]);
  });
  stack.plot.on("plotly_doubleclick", () => zoom(null));
}
function zoom(range) {
  page.range = range;
  drawStack();
  zoomDepth();
  showCursor();
}

// ---- the crosshair ----------------------------------------------------------------------------
function valueAt(panel, run, when) {
  const trace = walked(panel, run);
  if (!trace) return NaN;
  const along = time(trace.clock);
  if (!along.length || when < along[0] || when > along[along.length - 1]) return NaN;
  return trace.values[rowAt(along, when)];
}
function crosshair(when) { // a line through all panels, and all values at this time
  const shown = Number.isFinite(when), axes = stack.plot._fullLayout;
  const left = shown ? SPACE.left + axes.xaxis.d2p(when) : 0;
  const inside = shown && left >= SPACE.left - 1 && left <= stack.plot.clientWidth - SPACE.right + 1;
  stack.hair.hidden = stack.when.hidden = !inside;
  stack.hair.style.left = `${left}px`;
  stack.hair.style.height = `${stack.height}px`;
  stack.when.textContent = shown ? `${plain(data.axisLabels[page.axis]).split(" ")[0]} ${page.axis === "steps" ? Math.round(when).toLocaleString("en") : short(when)}` : "";
  const half = stack.when.offsetWidth / 2;
  stack.when.style.left = `${Math.max(half, Math.min(stack.plot.clientWidth - half, left))}px`;
  stack.when.style.top = `${stack.height + 4}px`;
  const runs = [page.focus, ...[...page.shown].filter(run => run !== page.focus)].slice(0, 6);
  stack.titles.forEach((title, at) => {
    const axis = axes[yName(at, "yaxis")];
    title.values.replaceChildren();
    title.dots.replaceChildren();
    for (const run of shown ? runs : []) {
      const value = valueAt(data.panels[at], run, when);
      if (!Number.isFinite(value)) continue;
      title.values.append(make("span", { className: "value" }, swatch(run), short(value)));
      const top = axis._offset + axis.d2p(value);
      if (!inside || !Number.isFinite(top)) continue;
      const dot = make("i", { className: "dot" });
      dot.style.cssText = `left:${left}px;top:${top}px;background:${data.runs[run].colour}`;
      title.dots.append(dot);
    }
  });
  showReason(inside ? left : NaN);
}
function showReason(left) { // of the rise of the loss nearest to the crosshair
  const { marks } = data.runs[page.focus], at = time(marks.clock), axis = stack.plot._fullLayout.xaxis;
  let best = -1, nearest = 6;
  for (let index = 0; index < at.length; index++) {
    const away = Math.abs(SPACE.left + axis.d2p(at[index]) - left);
    if (away < nearest) { nearest = away; best = index; }
  }
  stack.reason.hidden = best < 0;
  if (best < 0) return;
  stack.reason.textContent = marks.reasons[best];
  stack.reason.style.top = `${SPACE.title + 4}px`;
  const right = left > stack.plot.clientWidth / 2;
  stack.reason.style.left = right ? "" : `${left + 10}px`;
  stack.reason.style.right = right ? `${stack.plot.clientWidth - left + 10}px` : "";
}
function swatch(run) {
  const made = make("i", { className: "swatch" });
  made.style.background = data.runs[run].colour;
  return made;
}
