// ---- single plots: the phase diagram and one period of the focus --------------------------------
let enlarged = [];
function singleLayout(panel) {
  const line = { gridcolor: css("--grid"), zeroline: false, linecolor: css("--line"), automargin: true };
  const x = panel.time ? { title: { text: data.axisLabels[page.axis] } } : panel.x;
  const titled = axis => ({ ...line, ...axis, title: { ...axis.title, standoff: 6 } });
  return {
    modebar: { bgcolor: "rgba(0,0,0,0)", color: css("--soft"), activecolor: css("--ink") },
    margin: { l: 8, r: 8, t: 28, b: 8 }, showlegend: false, hovermode: "closest", dragmode: "zoom",
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: font(),
    xaxis: { ...titled(x), nticks: 5, tickangle: 0 }, yaxis: titled(panel.y), shapes: [], annotations: spanLetters(panel),
  };
}
function span(mark) {
  const [start, end] = time(mark.clock);
  return { type: "rect", xref: "x", yref: "paper", x0: start, x1: end, y0: 0, y1: 1, layer: "below",
    fillcolor: mark.colour, opacity: .2, line: { width: 0 } };
}
function spanLetters(panel) {
  return panel.spans.map(mark => {
    const [start, end] = time(mark.clock);
    const x = { center: (start + end) / 2, left: start, right: end }[mark.align];
    return { x, xanchor: mark.align, borderpad: 0, xref: "x", y: 1, yref: "paper", yanchor: "top", showarrow: false, text: `<b>${mark.text}</b>` };
  });
}
function singleTraces(panel) {
  return panel.traces.filter(trace => panel.all || trace.run === null || page.shown.has(trace.run)).map(trace => ({ ...trace,
    y: trace.values, connectgaps: false, x: trace.clock === null ? trace.across : time(trace.clock) }));
}
const drawSingle = panel => Plotly.react(panel.div, singleTraces(panel), singleLayout(panel), BUTTONS);

function drawLoop() {
  const panel = data.loop, box = byId("loop-plot");
  if (!panel || !box) return;
  panel.div = box;
  const note = byId("loop").querySelector("small") || byId("loop").querySelector("figcaption").appendChild(make("small"));
  note.textContent = panel.note;
  if (!panel.traces.some(trace => page.shown.has(trace.run))) {
    if (box.classList.contains("plot")) Plotly.purge(box);
    box.className = "empty";
    box.textContent = panel.note || "nothing to draw of this run";
    return;
  }
  if (box.className === "empty") box.textContent = "";
  box.className = "plot";
  drawSingle(panel);
}
function drawPeriod() {
  const where = byId("period-panels");
  if (!where) return;
  for (const { div, drawn } of enlarged) drawn.then(() => Plotly.purge(div)); // not while it is being drawn
  where.replaceChildren();
  const period = data.runs[page.focus].period;
  byId("period-text").textContent = period.text;
  enlarged = period.panels.map(panel => addSingle(panel, where)).filter(Boolean);
  for (const panel of enlarged) panel.drawn = drawSingle(panel);
  link(enlarged.filter(panel => panel.time && !panel.enlarged));
}
function addSingle(panel, where) {
  const caption = make("figcaption", {}, panel.title);
  panel.div = make("div", { className: panel.traces.length ? "plot" : "empty" });
  panel.all = true;
  where.append(make("figure", {}, caption, panel.div));
  if (panel.traces.length === 0) {
    panel.div.textContent = panel.note;
    return null;
  }
  if (panel.note) caption.append(make("small", {}, panel.note));
  if (!panel.traces[0].values) unpackTraces(panel);
  return panel;
}
function link(timed) { // zoom in time is one zoom
  let busy = false;
  for (const panel of timed) {
    panel.div.on("plotly_relayout", change => {
      if (busy) return;
      const range = change["xaxis.range"] || (change["xaxis.range[0]"] !== undefined
        ? [change["xaxis.range[0]"], change["xaxis.range[1]"]] : null);
      if (!range && !change["xaxis.autorange"]) return;
      busy = true;
      Promise.all(timed.filter(other => other !== panel).map(other => Plotly.relayout(other.div,
        range ? { "xaxis.range": [...range] } : { "xaxis.autorange": true }))).finally(() => { busy = false; });
    });
  }
}
function pointOn(panel, row, step) { // where the cursor stands on a single plot
  const shapes = panel.spans.map(span), trace = walked(panel, panel.all ? 0 : page.focus) || panel.traces.find(each => each.walk);
  let at = row, x;
  if (panel.time) {
    const timed = trace || panel.traces[0], steps = time(timed.clock, "steps");
    if (panel.spans.length && (step < steps[0] || step > steps[steps.length - 1])) return shapes;
    at = rowAt(steps, step);
    x = time(timed.clock)[at];
    shapes.push({ type: "line", xref: "x", yref: "paper", x0: x, x1: x, y0: 0, y1: 1, line: { color: css("--soft"), width: 1, dash: "dot" } });
  } else if (trace) {
    x = trace.across[row];
  }
  if (trace && Number.isFinite(x) && Number.isFinite(trace.values[at])) {
    // A path, not a circle: plotly takes a circle's pixels for data on a logarithmic axis.
    shapes.push({ type: "path", xref: "x", yref: "y", xsizemode: "pixel", ysizemode: "pixel", path: "M0,-8L8,0L0,8L-8,0Z",
      xanchor: x, yanchor: trace.values[at], fillcolor: css("--ink"), line: { color: css("--paper"), width: 2 } });
  }
  return shapes;
}
