"use strict";
// Panels of squares, ready made: this script only themes them and gives them a place.
(async () => {
  const data = JSON.parse(document.getElementById("limitcycle-data").textContent);
  const byId = id => document.getElementById(id);
  const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  async function unpack() {
    const bytes = Uint8Array.from(atob(byId("plotly-packed").textContent), letter => letter.charCodeAt(0));
    const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(plain).text();
    document.head.append(script);
  }
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
  function listen(panel) { // what a cell is stands below the panels: a label would leave its plot
    panel.div.on("plotly_hover", event => {
      const cell = event.points.find(point => point.customdata);
      if (cell) byId("said").textContent = cell.customdata;
    });
  }

  if (typeof DecompressionStream === "undefined") {
    byId("panels").textContent = "This browser is too old to draw the panels; one from 2023 or later can.";
    return;
  }
  await unpack();
  data.panels.forEach(add);
  await Promise.all(data.panels.map(draw));
  data.panels.forEach(listen);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => data.panels.forEach(draw));
  document.body.dataset.ready = "true";
})();
