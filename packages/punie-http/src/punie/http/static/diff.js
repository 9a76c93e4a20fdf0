// Patches as tables: unified, or side by side. Takes git's format.

import { evident, h } from "./dom.js";

const SIDE_BY_SIDE = "punie-side-by-side";

export const sideBySide = () => localStorage.getItem(SIDE_BY_SIDE) === "1";
export const setSideBySide = (on) => localStorage.setItem(SIDE_BY_SIDE, on ? "1" : "0");

export function diffView(patch) {
  const rows = parse(patch);
  const added = rows.filter((row) => row.kind === "add").length;
  const removed = rows.filter((row) => row.kind === "del").length;
  const files = rows.filter((row) => row.kind === "file");
  if (files.length === 1) rows.splice(rows.indexOf(files[0]), 1); // the bar names it
  const body = h("div", { class: "rows", tabindex: "0", role: "region", "aria-label": "Change" });
  const flip = h("button", { type: "button", class: "quiet", onclick: () => { setSideBySide(!sideBySide()); draw(); } });
  const draw = () => {
    const both = sideBySide();
    flip.textContent = both ? "Unified" : "Side by side";
    body.replaceChildren(both ? twoColumns(rows) : oneColumn(rows));
  };
  draw();
  return h("div", { class: "diff" },
    h("div", { class: "bar" }, h("span", { class: "path" }, files.map((row) => evident(row.text)).join(", ")),
      h("span", { class: "added" }, `+${added}`), h("span", { class: "removed" }, `−${removed}`), flip),
    body);
}

// Behind a hunk's first line all is change, whatever it looks like: where `++ x` is added stands `+++ x`.
function parse(patch) {
  const rows = [];
  let left = 0;
  let right = 0;
  let head = true;
  for (const line of patch.split("\n")) {
    if (line.startsWith("diff ")) head = true;
    const hunk = /^@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@/.exec(line);
    if (hunk) {
      head = false;
      [left, right] = [Number(hunk[1]), Number(hunk[2])];
      rows.push({ kind: "hunk", text: line });
    } else if (head && /^(diff |index |new file|deleted file|similarity|rename |--- |\+\+\+ |old mode|new mode)/.test(line)) {
      if (line.startsWith("diff ")) rows.push({ kind: "file", text: named(line) });
    } else if (line.startsWith("+")) rows.push({ kind: "add", right: right++, text: line.slice(1) });
    else if (line.startsWith("-")) rows.push({ kind: "del", left: left++, text: line.slice(1) });
    else if (line.startsWith(" ")) rows.push({ kind: "same", left: left++, right: right++, text: line.slice(1) });
    else if (line.startsWith("\\")) rows.push({ kind: "hunk", text: line });
  }
  return rows;
}

// The file of a `diff --git a/OLD b/NEW` line; both when they differ.
function named(line) {
  const both = /^diff --git a\/(.*) b\/(.*)$/.exec(line);
  if (!both) return line.replace(/^diff --git /, "");
  return both[1] === both[2] ? both[2] : `${both[1]} → ${both[2]}`;
}

const SIGNS = { add: "+", del: "-", same: " " };

function oneColumn(rows) {
  return h("table", {}, ...rows.map((row) => row.kind in SIGNS
    ? h("tr", { class: row.kind },
        h("td", { class: "line" }, String(row.left ?? "")), h("td", { class: "line" }, String(row.right ?? "")),
        h("td", {}, h("code", {}, SIGNS[row.kind] + evident(row.text))))
    : h("tr", { class: row.kind }, h("td", { colspan: "3" }, evident(row.text)))));
}

function twoColumns(rows) {
  const drawn = [];
  for (let at = 0; at < rows.length; at += 1) {
    const row = rows[at];
    if (!(row.kind in SIGNS)) drawn.push(h("tr", { class: row.kind }, h("td", { colspan: "4" }, evident(row.text))));
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
  h("td", { class: text === undefined ? "none" : kind }, h("code", {}, evident(text ?? ""))),
];
