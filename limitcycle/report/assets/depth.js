// ---- which layer: depth × time ------------------------------------------------------------------
const depth = { measure: null };
function drawDepth() {
  const found = data.runs[page.focus].depth, section = byId("depth");
  section.hidden = !found;
  if (!found) return;
  const names = Object.keys(found.measures);
  if (!names.includes(depth.measure)) depth.measure = names[0];
  byId("measure").replaceChildren(...names.map(name => new Option(found.measures[name], name, false, name === depth.measure)));
  const edges = time(found.clock), columns = edges.length - 1;
  const values = decode(found.grids[depth.measure]);
  depth.values = found.groups.map((_, row) => Array.from(values.subarray(row * columns, (row + 1) * columns)));
  const z = depth.values.map(row => row.map(value => value > 0 ? Math.log10(value) : null));
  const known = z.flat().filter(Number.isFinite).sort((a, b) => a - b);
  const low = known[Math.floor(.005 * known.length)], high = known[Math.ceil(.995 * known.length) - 1];
  const ticks = [0, .5, 1].map(share => low + share * (high - low));
  const trace = { type: "heatmap", x: Array.from(edges), y: found.groups.map((_, row) => row), z, zmin: low, zmax: high, colorscale: "Cividis",
    hoverinfo: "none", xgap: 0, ygap: found.groups.length < 60 ? 1 : 0, colorbar: { thickness: 12, outlinewidth: 0, tickvals: ticks,
      ticktext: ticks.map(value => short(10 ** value)), tickfont: { color: css("--soft") } } };
  const run = data.runs[page.focus], at = time(run.marks.clock);
  const shapes = run.marks.jumps.map((jump, index) => jump && { type: "line", xref: "x", yref: "paper", x0: at[index], x1: at[index], y0: 0, y1: 1,
    line: { color: "rgba(255,255,255,.55)", width: 1 } }).filter(Boolean).slice(-300);
  const many = found.groups.length;
  const box = byId("depth-plot");
  Plotly.react(box, [trace], {
    height: Math.min(680, Math.max(150, 22 * many) + 50), margin: { l: 8, r: 8, t: 6, b: 40 }, dragmode: "zoom", hovermode: "closest",
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: font(), shapes,
    xaxis: { title: { text: data.axisLabels[page.axis], standoff: 4 }, range: page.range && [...page.range], showgrid: false, zeroline: false },
    yaxis: { autorange: "reversed", fixedrange: true, automargin: true, showgrid: false, zeroline: false,
      ...(many <= 40 ? { tickvals: found.groups.map((_, row) => row), ticktext: found.groups } : { title: { text: "group, from first to last" } }) },
  }, { displayModeBar: false, responsive: true, doubleClick: "reset" });
  if (depth.listens) return;
  depth.listens = true;
  box.on("plotly_hover", event => {
    const found = data.runs[page.focus].depth, [point] = event.points, [row, column] = point.pointIndex || point.pointNumber;
    byId("cell").textContent = `${plain(found.groups[row])}, ${data.axisLabels[page.axis]} ${short(time(found.clock)[column])}: ${short(depth.values[row][column])}`;
  });
  box.on("plotly_relayout", change => {
    if (change["xaxis.range[0]"] !== undefined) zoom([change["xaxis.range[0]"], change["xaxis.range[1]"]]);
    else if (change["xaxis.autorange"]) zoom(null);
  });
}
function zoomDepth() {
  if (byId("depth").hidden) return;
  Plotly.relayout(byId("depth-plot"), page.range ? { "xaxis.range": [...page.range] } : { "xaxis.autorange": true });
}
