// Patches as tables: unified, or side by side. Takes git's format.

import { h } from "./dom.js";

const SIDE_BY_SIDE = "punie-side-by-side";

export const sideBySide = () => localStorage.getItem(SIDE_BY_SIDE) === "1";
export const setSideBySide = (on) => localStorage.setItem(SIDE_BY_SIDE, on ? "1" : "0");

export function diffView(patch) {
  const rows = parse(patch);
  const place = h("div", { class: "diff" });
  const draw = () => {
    const both = sideBySide();
    place.replaceChildren(
      h("button", { type: "button", class: "quiet", onclick: () => { setSideBySide(!both); draw(); } },
        both ? "Unified" : "Side by side"),
      both ? twoColumns(rows) : oneColumn(rows));
  };
  draw();
  return place;
}

function parse(patch) {
  const rows = [];
  let left = 0;
  let right = 0;
  for (const line of patch.split("\n")) {
    const hunk = /^@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@/.exec(line);
    if (hunk) {
      [left, right] = [Number(hunk[1]), Number(hunk[2])];
      rows.push({ kind: "hunk", text: line });
    } else if (/^(diff |index |new file|deleted file|similarity|rename |--- |\+\+\+ |old mode|new mode)/.test(line)) {
      if (line.startsWith("diff ")) rows.push({ kind: "file", text: line.replace(/^diff --git /, "") });
    } else if (line.startsWith("+")) rows.push({ kind: "add", right: right++, text: line.slice(1) });
    else if (line.startsWith("-")) rows.push({ kind: "del", left: left++, text: line.slice(1) });
    else if (line.startsWith(" ")) rows.push({ kind: "same", left: left++, right: right++, text: line.slice(1) });
    else if (line.startsWith("\\")) rows.push({ kind: "hunk", text: line });
  }
  return rows;
}

const SIGNS = { add: "+", del: "-", same: " " };

function oneColumn(rows) {
  return h("table", {}, ...rows.map((row) => row.kind in SIGNS
    ? h("tr", { class: row.kind },
        h("td", { class: "line" }, String(row.left ?? "")), h("td", { class: "line" }, String(row.right ?? "")),
        h("td", {}, h("code", {}, SIGNS[row.kind] + row.text)))
    : h("tr", { class: row.kind }, h("td", { colspan: "3" }, row.text))));
}

function twoColumns(rows) {
  const drawn = [];
  for (let at = 0; at < rows.length; at += 1) {
    const row = rows[at];
    if (!(row.kind in SIGNS)) drawn.push(h("tr", { class: row.kind }, h("td", { colspan: "4" }, row.text)));
    else if (row.kind === "same") drawn.push(h("tr", {}, ...half(row.left, row.text, ""), ...half(row.right, row.text, "")));
    else {
      const removed = [];
      const added = [];
      while (rows[at]?.kind === "del") removed.push(rows[at++]);
      while (rows[at]?.kind === "add") added.push(rows[at++]);
      at -= 1;
      for (let i = 0; i < Math.max(removed.length, added.length); i += 1) {
        drawn.push(h("tr", {}, ...half(removed[i]?.left, removed[i]?.text, "del"), ...half(added[i]?.right, added[i]?.text, "add")));
      }
    }
  }
  return h("table", { class: "two" }, ...drawn);
}

const half = (line, text, kind) => [
  h("td", { class: "line" }, String(line ?? "")),
  h("td", { class: text === undefined ? "none" : kind }, h("code", {}, text ?? "")),
];
