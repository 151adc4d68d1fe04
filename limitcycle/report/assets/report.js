"use strict";
// One page state; every change goes through draw(), link() or walk(). Plots are one div a panel:
// the grid is the style sheet's business, and all that panels share (runs, time, cursor) is here.
(async () => {
  const data = JSON.parse(document.getElementById("limitcycle-data").textContent);
  const byId = id => document.getElementById(id);
  const state = { axis: data.axis, hidden: new Set(), follow: data.follow, row: 0 };
  const main = [];   // panels of all runs
  let enlarged = []; // panels of the followed run's typical period

  // ---- the library: packed, or it would be most of the file -----------------------------------
  async function unpack() {
    const bytes = Uint8Array.from(atob(byId("plotly-packed").textContent), letter => letter.charCodeAt(0));
    const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(plain).text();
    document.head.append(script);
  }

  // ---- numbers ------------------------------------------------------------------------------
  const kinds = { f4: Float32Array, f8: Float64Array, i4: Int32Array };
  function decode(packed) {
    const bytes = Uint8Array.from(atob(packed.bdata), letter => letter.charCodeAt(0));
    return new kinds[packed.dtype](bytes.buffer);
  }
  const times = new Map();
  function time(clock, axis = state.axis) {
    const key = `${clock} ${axis}`;
    if (!times.has(key)) {
      const along = data.clocks[clock][axis];
      times.set(key, typeof along === "number" ? Float64Array.from(time(clock, "steps"), step => step * along)
        : along === null ? null : decode(along));
    }
    return times.get(key);
  }
  function rowAt(steps, step) { // the last row at or before this step
    let low = 0, high = steps.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (steps[middle] <= step) low = middle; else high = middle - 1;
    }
    return low;
  }
  const short = value => value === 0 ? "0" : Number.isFinite(value)
    ? (Math.abs(value) >= 1e-3 && Math.abs(value) < 1e5 ? String(+value.toPrecision(3)) : value.toExponential(1)) : "–";

  // ---- one panel ----------------------------------------------------------------------------
  const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  function layout(panel) {
    const line = { gridcolor: css("--grid"), zeroline: false, linecolor: css("--line"), automargin: true };
    const x = panel.time ? { title: { text: data.axisLabels[state.axis] }, range: panel.enlarged ? undefined : extent(panel) } : panel.x;
    const titled = axis => ({ ...line, ...axis, title: { ...axis.title, standoff: 6 } });
    return {
      modebar: { bgcolor: "rgba(0,0,0,0)", color: css("--soft"), activecolor: css("--ink") },
      margin: { l: 8, r: 8, t: 28, b: 8 }, showlegend: false, hovermode: "closest", dragmode: "zoom",
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: css("--ink") },
      xaxis: titled(x), yaxis: titled(panel.y), shapes: [], annotations: spanLetters(panel),
    };
  }
  function extent(panel) { // of time, over all panels that are zoomed together
    const group = main.includes(panel) ? main : enlarged;
    let low = Infinity, high = -Infinity;
    for (const trace of group.filter(each => each.time && !each.enlarged).flatMap(each => each.traces)) {
      const when = time(trace.clock);
      if (when.length) { low = Math.min(low, when[0]); high = Math.max(high, when[when.length - 1]); }
    }
    return low < high ? [low - .015 * (high - low), high + .015 * (high - low)] : undefined;
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
  function traces(panel) {
    return panel.traces.map(trace => ({ ...trace, y: trace.values, connectgaps: false,
      x: trace.clock === null ? trace.across : time(trace.clock), visible: !state.hidden.has(trace.run) }));
  }
  function draw(panel) {
    return Plotly.react(panel.div, traces(panel), layout(panel),
      { responsive: true, displaylogo: false, doubleClick: "reset", showSendToCloud: false, plotlyServerURL: "",
        modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]] });
  }
  function add(panel, where) {
    const figure = document.createElement("figure"), caption = document.createElement("figcaption");
    caption.textContent = panel.title;
    figure.append(caption);
    panel.div = document.createElement("div");
    figure.append(panel.div);
    where.append(figure);
    if (panel.traces.length === 0) {
      panel.div.className = "empty";
      panel.div.textContent = panel.note;
      return null;
    }
    if (panel.note) {
      const note = document.createElement("small");
      note.textContent = panel.note;
      caption.append(note);
    }
    for (const trace of panel.traces) {
      trace.values = decode(trace.y);
      trace.across = trace.clock === null ? decode(trace.x) : null;
    }
    panel.div.className = "plot";
    return panel;
  }
  const place = (panels, where) => panels.map(panel => add(panel, where)).filter(Boolean);

  // ---- what panels share --------------------------------------------------------------------
  function link(group) { // zoom in time is one zoom
    let busy = false;
    const timed = group.filter(panel => panel.time && !panel.enlarged);
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
  function toggle(run, shown) {
    if (shown) state.hidden.delete(run); else state.hidden.add(run);
    for (const panel of main) {
      const mine = panel.traces.map((trace, at) => trace.run === run ? at : -1).filter(at => at >= 0);
      if (mine.length) Plotly.restyle(panel.div, { visible: shown }, mine);
    }
    walk();
  }
  function setAxis(axis) {
    state.axis = axis;
    for (const button of byId("axis").children) button.setAttribute("aria-pressed", String(button.value === axis));
    for (const panel of [...main, ...enlarged]) draw(panel);
    walk();
  }

  // ---- the walk through time ----------------------------------------------------------------
  const walked = (panel, run) => panel.traces.find(trace => trace.walk && (trace.run === run || trace.run === null));
  function followedSteps() {
    const panel = main.find(each => each.time && walked(each, state.follow));
    return panel ? time(walked(panel, state.follow).clock, "steps") : new Float64Array(0);
  }
  function cursor(panel, row, step, colour) {
    const shapes = panel.spans.map(span);
    const trace = walked(panel, state.follow), shown = !state.hidden.has(state.follow);
    if (!shown) return shapes;
    let at = row, x;
    if (panel.time) {
      const timed = trace || panel.traces.find(each => each.run === state.follow) || panel.traces[0];
      const steps = time(timed.clock, "steps");
      if (panel.spans.length && (step < steps[0] || step > steps[steps.length - 1])) return shapes;
      at = rowAt(steps, step);
      x = trace ? time(trace.clock)[at] : time(timed.clock)[at];
      shapes.push({ type: "line", xref: "x", yref: "paper", x0: x, x1: x, y0: 0, y1: 1, line: { color: css("--soft"), width: 1, dash: "dot" } });
    } else if (trace) {
      x = trace.across[row];
    }
    if (trace && Number.isFinite(x) && Number.isFinite(trace.values[at])) {
      // A path, not a circle: plotly takes a circle's pixels for data on a logarithmic axis.
      shapes.push({ type: "path", xref: "x", yref: "y", xsizemode: "pixel", ysizemode: "pixel", path: "M0,-8L8,0L0,8L-8,0Z",
        xanchor: x, yanchor: trace.values[at], fillcolor: colour, line: { color: css("--paper"), width: 2 } });
    }
    return shapes;
  }
  function walk() {
    const steps = followedSteps(), step = steps[state.row];
    const colour = css("--ink");
    for (const panel of [...main, ...enlarged]) Plotly.relayout(panel.div, { shapes: cursor(panel, state.row, step, colour) });
    byId("readout").textContent = steps.length ? sentence(step) : "This run has no rows to walk along.";
  }
  const PHASES = {
    A: "phase A: the loss is high and falls, the gradient makes the norm grow",
    B: "phase B: the loss is low, weight decay shrinks the norm, the effective learning rate climbs",
    C: "phase C: training is thrown out of its minimum",
  };
  function sentence(step) {
    const run = data.runs[state.follow];
    const [loss, norm, phase] = ["loss", "norm", "phase"].map(role => {
      const panel = main.find(each => each.name === role);
      const trace = panel && walked(panel, state.follow);
      return trace ? { x: trace.across && trace.across[state.row], y: trace.values[state.row] } : { x: NaN, y: NaN };
    });
    run.starts ??= decode(run.phaseStarts);
    const now = step >= run.starts[0] ? run.phases[rowAt(run.starts, step)] : "";
    const parts = [`step ${step.toLocaleString("en")}`];
    if (now) parts.push(PHASES[now]);
    parts.push(`loss ${short(loss.y)}`, `ρ ${short(norm.y)}`);
    if (Number.isFinite(phase.x)) parts.push(`effective learning rate ${short(phase.x)}`);
    if (Number.isFinite(phase.y)) parts.push(`effective gradient norm ${short(phase.y)}`);
    if (run.threshold && Number.isFinite(phase.x * phase.y)) {
      parts.push(phase.x * phase.y > run.threshold ? "above the line: the norm grows" : "below the line: the norm shrinks");
    }
    return parts.join(" · ");
  }
  function follow(run) {
    state.follow = run;
    state.row = 0;
    byId("follow").value = String(run);
    byId("slider").max = String(Math.max(0, followedSteps().length - 1));
    byId("slider").value = "0";
    for (const panel of enlarged) Plotly.purge(panel.div);
    byId("period-panels").replaceChildren();
    const period = data.runs[run].period;
    byId("period-text").textContent = period.text;
    enlarged = place(period.panels, byId("period-panels"));
    enlarged.forEach(draw);
    link(enlarged);
    walk();
  }
  let playing = 0;
  function play() {
    const slider = byId("slider"), last = Number(slider.max), stride = Math.max(1, Math.round(last / 1500));
    const stop = () => { cancelAnimationFrame(playing); playing = 0; byId("play").textContent = "▶"; byId("play").setAttribute("aria-label", "Play"); };
    if (playing) return stop();
    if (state.row >= last) state.row = 0;
    byId("play").textContent = "❚❚";
    byId("play").setAttribute("aria-label", "Pause");
    const tick = () => {
      state.row = Math.min(last, state.row + stride);
      slider.value = String(state.row);
      walk();
      if (state.row >= last) stop(); else playing = requestAnimationFrame(tick);
    };
    playing = requestAnimationFrame(tick);
  }

  // ---- controls -----------------------------------------------------------------------------
  function button(text, pressed, onclick) {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = text;
    made.setAttribute("aria-pressed", String(pressed));
    made.addEventListener("click", () => onclick(made));
    return made;
  }
  data.runs.forEach((run, index) => {
    const made = button(run.label, true, self => {
      const shown = self.getAttribute("aria-pressed") !== "true";
      self.setAttribute("aria-pressed", String(shown));
      toggle(index, shown);
    });
    const swatch = byId(`swatch-${index}`).cloneNode(true);
    swatch.removeAttribute("id");
    made.prepend(swatch);
    byId("legend").append(made);
    byId("follow").append(new Option(run.label, String(index)));
  });
  for (const axis of data.axisNames) {
    const made = button(axis, axis === state.axis, () => setAxis(axis));
    made.value = axis;
    const reason = data.axisMissing[axis];
    made.disabled = Boolean(reason);
    made.title = reason || data.axisLabels[axis];
    byId("axis").append(made);
  }
  byId("follow").addEventListener("change", event => follow(Number(event.target.value)));
  byId("slider").addEventListener("input", event => { state.row = Number(event.target.value); walk(); });
  byId("play").addEventListener("click", play);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => setAxis(state.axis));

  if (typeof DecompressionStream === "undefined") {
    byId("panels").textContent = "This browser is too old to draw the panels; one from 2023 or later can.";
    return;
  }
  await unpack();
  main.push(...place(data.panels, byId("panels")));
  main.forEach(draw);
  link(main);
  follow(state.follow);
  document.body.dataset.ready = "true";
})();
