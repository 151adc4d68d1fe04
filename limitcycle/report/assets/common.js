// ---- what all scripts share: data, numbers, time, theme ---------------------------------------
let data = JSON.parse(document.getElementById("limitcycle-data").textContent);
const byId = id => document.getElementById(id);
// axis: of time; focus: the run that is told about; shown: the runs that are drawn, focus among them;
// row: the cursor, a row of the focus; range: the stretch of time shown, null for all of it.
const page = { axis: data.axis, focus: data.focus, shown: new Set([data.focus]), row: 0, range: null };

async function unpack() { // the library: packed, or it would be most of the file
  const bytes = Uint8Array.from(atob(byId("plotly-packed").textContent), letter => letter.charCodeAt(0));
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.textContent = await new Response(plain).text();
  document.head.append(script);
}
function tooOld() {
  const old = typeof DecompressionStream === "undefined";
  if (old) byId("charts").textContent = "This browser is too old to draw the charts; one from 2023 or later can.";
  return old;
}
const kinds = { f4: Float32Array, f8: Float64Array, i4: Int32Array };
function decode(packed) {
  const bytes = Uint8Array.from(atob(packed.bdata), letter => letter.charCodeAt(0));
  return new kinds[packed.dtype](bytes.buffer);
}
const times = new Map();
function time(clock, axis = page.axis) {
  const key = `${clock} ${axis}`;
  if (!times.has(key)) {
    const along = data.clocks[clock][axis];
    times.set(key, typeof along === "number" ? Float64Array.from(time(clock, "steps"), step => step * along)
      : along === null ? null : decode(along));
  }
  return times.get(key);
}
function rowAt(times, when) { // the last row at or before
  let low = 0, high = times.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (times[middle] <= when) low = middle; else high = middle - 1;
  }
  return low;
}
const short = value => value === 0 ? "0" : Number.isFinite(value)
  ? (Math.abs(value) >= 1e-3 && Math.abs(value) < 1e5 ? String(+value.toPrecision(3)) : value.toExponential(1)) : "–";
const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const font = () => ({ family: getComputedStyle(document.body).fontFamily, size: 12, color: css("--ink") });
const plain = text => new DOMParser().parseFromString(text, "text/html").documentElement.textContent; // no script runs there
const BUTTONS = { responsive: true, displaylogo: false, doubleClick: "reset", showSendToCloud: false, plotlyServerURL: "",
  modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]] };

function make(tag, properties = {}, ...inside) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...inside);
  return made;
}
function unpackTraces(panel) {
  for (const trace of panel.traces) {
    trace.values = decode(trace.y);
    trace.across = trace.clock === null ? decode(trace.x) : null;
  }
}
const walked = (panel, run) => panel.traces.find(trace => trace.walk && (trace.run === run || trace.run === null));
