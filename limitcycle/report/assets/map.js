// ---- a map: panels of squares, ready made; this script themes them and gives them a place --------
function layout(panel) {
  const line = { linecolor: css("--line"), mirror: true, showline: true, zeroline: false, automargin: true };
  const titled = axis => ({ ...line, ...axis, title: { ...axis.title, standoff: 6 } });
  return {
    ...panel.layout, xaxis: titled(panel.layout.xaxis), yaxis: titled(panel.layout.yaxis),
    modebar: { bgcolor: "rgba(0,0,0,0)", color: css("--soft"), activecolor: css("--ink") },
    margin: { l: 8, r: 8, t: 28, b: 8 }, showlegend: false, hovermode: "closest",
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: css("--ink") },
    hoverlabel: { align: "left", bgcolor: css("--card"), font: { color: css("--ink") } },
  };
}
function draw(panel) {
  return Plotly.react(panel.div, panel.traces, layout(panel),
    { responsive: true, displaylogo: false, showSendToCloud: false, plotlyServerURL: "",
      modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]] });
}
function add(panel) {
  const figure = document.createElement("figure"), caption = document.createElement("figcaption");
  caption.textContent = panel.title;
  panel.div = document.createElement("div");
  panel.div.className = "plot";
  figure.append(caption, panel.div);
  byId("panels").append(figure);
}
function listen(panel) { // what a cell is stands below the panels, in a place of fixed size: nothing moves
  panel.div.on("plotly_hover", event => {
    const cell = event.points.find(point => point.customdata);
    if (!cell) return;
    byId("said").textContent = cell.customdata;
    drawCurve(data.curves[cell.customdata.split("cells/")[1]]);
  });
}
const CURVES = [["loss", "loss"], ["effective_lr", "effective learning rate"], ["norm", "norm"]];
function drawCurve(curve) {
  const box = byId("curve"), axis = { gridcolor: css("--grid"), zeroline: false, nticks: 3 };
  const layout = { annotations: [], margin: { l: 48, r: 8, t: 4, b: 32 }, showlegend: false, hovermode: false, paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)", font: { ...font(), size: 10 }, xaxis: { ...axis, title: { text: curve ? "step" : "", standoff: 2 }, anchor: "y3", visible: Boolean(curve) } };
  const traces = CURVES.map(([name], at) => ({ type: "scatter", mode: "lines", x: curve ? decode(curve.step) : [], y: curve ? decode(curve[name]) : [],
    yaxis: at ? `y${at + 1}` : "y", line: { color: css("--accent"), width: 1.2 } }));
  CURVES.forEach(([, label], at) => {
    layout[at ? `yaxis${at + 1}` : "yaxis"] = { ...axis, type: "log", exponentformat: "power", visible: Boolean(curve),
      domain: [1 - (at + 1) / 3 + .01, 1 - at / 3 - .09] };
    layout.annotations.push({ text: `<b>${label}</b>`, xref: "paper", yref: "paper", x: 0, y: 1 - at / 3, yanchor: "top", xanchor: "left", showarrow: false, visible: Boolean(curve) });
  });
  Plotly.react(box, traces, layout, { staticPlot: true, responsive: true });
}
async function beginMap() {
  if (tooOld()) return;
  await unpack();
  data.panels.forEach(add);
  await Promise.all(data.panels.map(draw));
  data.panels.forEach(listen);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => data.panels.forEach(draw));
  document.body.dataset.ready = "true";
}
await beginMap();
