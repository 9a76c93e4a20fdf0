// Elements out of plain values. Text only ever becomes text: nothing here reads HTML.

export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "data") Object.assign(element.dataset, value);
    else if (value === true) element.setAttribute(name, "");
    else element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// Makes the children of an element those of a list, and leaves alone what shows the same as before:
// who reads, types or has the focus there is not disturbed. `key` names an entry, `shows` is all
// that its element depends on.
export function keyed(parent, entries, { key, shows, make }) {
  const before = new Map([...parent.children].map((child) => [child.keyedBy, child]));
  const focused = parent.contains(document.activeElement) ? document.activeElement.closest("[data-keyed]") : null;
  const wanted = entries.map((entry) => {
    const name = String(key(entry));
    const shown = shows(entry);
    const old = before.get(name);
    if (old?.shows === shown) return old;
    const element = make(entry);
    Object.assign(element, { keyedBy: name, shows: shown });
    element.dataset.keyed = "";
    return element;
  });
  const kept = new Set(wanted);
  for (const child of [...parent.children]) if (!kept.has(child)) child.remove();
  wanted.forEach((element, at) => {
    if (parent.children[at] !== element) parent.insertBefore(element, parent.children[at] ?? null);
  });
  if (focused && document.activeElement === document.body) wanted.find((element) => element.keyedBy === focused.keyedBy)?.focus();
  return wanted;
}

export const ago = (seconds) => lasted(Math.max(0, Date.now() / 1000 - seconds));

export function lasted(seconds) {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}

export const since = (seconds) => h("time", { data: { since: seconds } }, ago(seconds));

// What a person decides about must show all that is in it: characters that reorder or hide text
// become names of themselves.
const HIDDEN = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\u{e0000}-\u{e007f}]|\r(?!\n|$)/gu;
export const evident = (text) =>
  String(text).replace(HIDDEN, (one) => `\u27e8U+${one.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}\u27e9`);

let hiding = 0;

export function say(text) {
  const place = document.getElementById("said");
  place.textContent = text;
  place.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => { place.hidden = true; }, 8000);
}

// Waits for the hub; says what went wrong, and is undefined then.
export async function attempt(promise) {
  try {
    return (await promise) ?? true;
  } catch (error) {
    say(error.message);
    return undefined;
  }
}
