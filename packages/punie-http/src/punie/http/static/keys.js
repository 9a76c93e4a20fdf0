// Which card the keys answer, and the keys.
//
//   a  allow once        A  allow always (session or project, as the agent offers it)
//   r  reject once       R  reject always
//   1-9 the nth option   j k  next and previous card
//
// The keys answer the card that has the focus, else the first approval, and only after it has been that
// card, on screen, for a moment: a key that was meant for the card before it answers nothing. A card
// that a person went to by hand needs no moment.

import { say } from "./dom.js";
import { KEYS } from "./inbox.js";

export const MOMENT = 600; // milliseconds, longer than it takes to see that something changed

let target = null;
let waking = 0;
let byHand = null;

// Looks which card it is now; called when cards were drawn, the focus moved or the page scrolled.
export function aim() {
  const next = choose();
  if (next === target) return;
  target?.removeAttribute("data-keys");
  target = next;
  clearTimeout(waking);
  if (target === null) return;
  if (target === byHand) arm();
  else {
    target.dataset.keys = "soon";
    waking = setTimeout(arm, MOMENT);
  }
}

function arm() {
  if (target) target.dataset.keys = "now";
}

function choose() {
  const cards = [...document.querySelectorAll("section.card")];
  const focused = document.activeElement?.closest("section.card");
  const chosen = focused ?? cards.find((card) => card.querySelector("button[data-option]"));
  return chosen && inSight(chosen) ? chosen : null;
}

function inSight(card) {
  const { top, bottom } = card.getBoundingClientRect();
  return bottom > 60 && top < window.innerHeight - 40;
}

// Starts the moment anew, as when the person comes back to the page.
function again() {
  target?.removeAttribute("data-keys");
  target = null;
  aim();
}

// Handles a key; returns whether it was one of ours.
export function key(event) {
  const cards = [...document.querySelectorAll("section.card")];
  if (cards.length === 0) return false;
  if (event.key === "j" || event.key === "k") {
    const current = document.activeElement?.closest("section.card");
    const step = event.key === "j" ? 1 : -1;
    const at = current ? (cards.indexOf(current) + step + cards.length) % cards.length : 0;
    byHand = cards[at];
    cards[at].focus();
    cards[at].scrollIntoView({ block: "nearest" });
    aim();
    return true;
  }
  if (!(event.key in KEYS) && !/^[1-9]$/.test(event.key)) return false;
  aim();
  if (target === null) return false;
  const buttons = [...target.querySelectorAll("button[data-option]")];
  const wanted = event.key in KEYS ? buttons.find((button) => button.dataset.kind === KEYS[event.key]) : buttons[Number(event.key) - 1];
  if (!wanted) return false;
  if (event.repeat || target.dataset.keys !== "now") say("That card has just come up: look at it, then press again.");
  else wanted.click();
  return true;
}

document.addEventListener("pointerdown", (event) => { byHand = event.target.closest("section.card"); });
document.addEventListener("focusin", aim);
document.addEventListener("focusout", () => setTimeout(aim));
document.addEventListener("scroll", aim, { capture: true, passive: true });
window.addEventListener("focus", again);
document.addEventListener("visibilitychange", again);
