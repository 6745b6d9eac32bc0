"use strict";
const drawn = JSON.parse(document.getElementById("drawn").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)");
const shade = () => (dark.matches ? "dark" : "light");
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function painted(series) {
  const own = structuredClone(series);
  for (const part of [own.marker, own.line]) {
    if (part) part.color = drawn.colours[part.color][shade()];
  }
  if (own.trials) {
    const told = own.trials.map((number) => `trial ${number}<br>${folded(drawn.trials[number])}`);
    const both = "%{x:.4~g}, %{y:.4~g}<extra></extra>";
    if (told.length) own.text = told;
    own.hovertemplate = told.length ? `%{text}<br>${both}` : both;
    delete own.trials;
  }
  return own;
}

function folded(words) {
  const plain = words.replace(/&/g, "&amp;").replace(/</g, "&lt;");
  return plain.replace(/(.{30,60}?) /g, "$1<br>");
}

function laidOut(layout, place) {
  const own = structuredClone(layout);
  const lines = { gridcolor: style("--line"), linecolor: style("--line"), zerolinecolor: style("--line") };
  for (const axis of [own.xaxis, own.yaxis]) {
    Object.assign(axis, lines, { automargin: true });
    axis.title.font = { size: 12 };
    axis.title.standoff = 8;
  }
  const isNarrow = place.clientWidth < 500;
  // Words that lean hang over the edge of a narrow page, and plotly then leaves them out.
  if (isNarrow && own.xaxis.ticktext && own.xaxis.ticktext.length > 3) {
    own.xaxis.tickangle = -90;
    own.height = 460;
  }
  const rows = isNarrow ? 2 : 1;
  return {
    height: 340,
    ...own,
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: style("--words"), size: 12 },
    margin: { l: 48, r: 12, t: 12 + 22 * rows, b: 48 },
    hoverlabel: { align: "left", font: { size: 12 } },
    hovermode: "closest",
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: 11 } },
  };
}

function draw() {
  for (const [name, figure] of Object.entries(drawn.figures)) {
    const place = document.getElementById(name);
    Plotly.react(place, figure.data.map(painted), laidOut(figure.layout, place), {
      responsive: true,
      displaylogo: false,
      displayModeBar: false,
    });
  }
}

draw();
dark.addEventListener("change", draw);
