// The model card: what GET /v1/models says of the model that listens.

import { token } from "./token.js";

/** @returns {Promise<object>} facts of the first model */
export async function fetchModel() {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const answer = await fetch("v1/models", { headers });
  if (answer.status === 401) {
    throw new Error("This server asks for a token: add #token=TOKEN to the address of this page");
  }
  if (!answer.ok) throw new Error(`The server does not show its model (${answer.status})`);
  return (await answer.json()).data[0];
}

/** @param {object} model @param {Document} page */
export function showModel(model, page) {
  const facts = [
    ["Name", model.id],
    ["Size", model.bytes && `${(model.bytes / 1e6).toFixed(1)} MB`],
    ["Parameters", model.parameters && `${(model.parameters / 1e6).toFixed(1)} million`],
    ["Weights", bits(model.parameters_by_bits)],
    ["Language", model.card.language],
    ["Licence", model.card.licence?.split(" (")[0]],
  ];
  const list = page.getElementById("facts");
  list.replaceChildren();
  for (const [name, value] of facts) {
    if (value) list.append(element("dt", name), element("dd", value));
  }
  page.getElementById("made-for").textContent = sentence(model.card.made_for ?? "");
  if (model.results.length) showResults(model.results, page.getElementById("results"));
}

function showResults(lines, box) {
  const unique = (key) => [...new Set(lines.map((line) => line[key]))];
  const chunks = unique("chunk_ms");
  const head = element("tr", element("th", "Test set"), ...chunks.map((ms) => element("th", chunk(ms))));
  head.querySelectorAll("th").forEach((cell) => (cell.scope = "col"));
  const rows = unique("split").map((split) => {
    const name = element("th", split.replace("/test", "").replaceAll("_", " "));
    name.scope = "row";
    const cells = chunks.map((ms) => {
      const line = lines.find((one) => one.split === split && one.chunk_ms === ms);
      return element("td", line ? (100 * line.wer).toFixed(1) : "–");
    });
    return element("tr", name, ...cells);
  });
  box.querySelector("thead").replaceChildren(head);
  box.querySelector("tbody").replaceChildren(...rows);
  const machines = unique("machine").join(", ");
  const commits = unique("commit").map((commit) => commit.slice(0, 7));
  box.querySelector("#results-origin").textContent = `Measured on ${machines}, commit ${commits}.`;
  box.hidden = false;
}

function chunk(ms) {
  return ms === 0 ? "whole" : `${ms} ms`;
}

/** {"4": 4240000, "32": 6000} as "4 bits (99.9 %)": the most frequent width and its share. */
function bits(numByBits = {}) {
  const sorted = Object.entries(numByBits).sort((a, b) => b[1] - a[1]);
  if (!sorted.length) return "";
  const [width, count] = sorted[0];
  const total = sorted.reduce((sum, [, other]) => sum + other, 0);
  return `${width} bits` + (count < total ? ` (${((100 * count) / total).toFixed(1)} %)` : "");
}

function sentence(text) {
  return text && `Made for ${text}.`;
}

function element(name, ...children) {
  const made = document.createElement(name);
  made.append(...children);
  return made;
}
