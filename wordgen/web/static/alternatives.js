// The list of other words for the place of a word, with their probabilities. The text continues from the chosen one.

import { post } from "/api.js";
import { probabilityInWords } from "/words.js";

const dialog = document.getElementById("alternatives");
const title = document.getElementById("alternatives-title");
const facts = document.getElementById("alternatives-facts");
const list = document.getElementById("alternatives-list");
const status = document.getElementById("alternatives-status");
let currentOnChoose = () => {};
let latest = 0; // the number of the newest request: answers to earlier ones are ignored

document.getElementById("alternatives-close").addEventListener("click", () => dialog.close());
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close(); // a click outside of the list
});
dialog.addEventListener("keydown", (event) => {
  const buttons = [...list.querySelectorAll("button")];
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step || !buttons.length) return;
  const next = buttons.indexOf(document.activeElement) + step;
  buttons[(next + buttons.length) % buttons.length].focus();
  event.preventDefault();
});

function percent(probability) {
  if (probability >= 0.0995) return `${Math.round(100 * probability)} %`;
  return probability >= 0.001 ? `${(100 * probability).toFixed(1)} %` : "< 0.1 %";
}

function row(word, highest, chosen) {
  const button = document.createElement("button");
  button.type = "button";
  const name = document.createElement("span");
  name.textContent = word.word;
  const bar = document.createElement("span");
  bar.className = "bar";
  bar.setAttribute("aria-hidden", "true");
  bar.style.setProperty("--share", (word.probability / highest).toFixed(4));
  const probability = document.createElement("span");
  probability.className = "probability";
  probability.textContent = percent(word.probability);
  button.append(name, bar, probability);
  if (chosen) button.setAttribute("aria-current", "true");
  button.addEventListener("click", () => {
    dialog.close();
    currentOnChoose(word);
  });
  const item = document.createElement("li");
  item.append(button);
  return item;
}

function placeNextTo(anchor) {
  const box = anchor.getBoundingClientRect();
  const width = dialog.offsetWidth;
  const left = Math.max(8, Math.min(box.left, document.documentElement.clientWidth - width - 8));
  const below = box.bottom + 6;
  const fits = below + dialog.offsetHeight < window.innerHeight - 8;
  dialog.style.setProperty("--left", `${left}px`);
  dialog.style.setProperty("--top", `${fits ? below : Math.max(8, window.innerHeight - dialog.offsetHeight - 8)}px`);
}

// Shows the list for a word, and calls `onChoose` with the word that the user chooses.
export async function showAlternatives(word, question, onChoose) {
  latest += 1;
  const asked = latest;
  currentOnChoose = onChoose;
  title.textContent = `Other words instead of “${word.piece.trim() || word.span.textContent}”`;
  facts.textContent = [typeof word.bits === "number" ? probabilityInWords(word.bits) : "", word.source].filter(Boolean).join(". ");
  list.replaceChildren();
  status.textContent = "Loading …";
  // On a phone the list covers the lower part of the screen.
  if (window.matchMedia("(max-width: 44rem)").matches) word.span.scrollIntoView({ block: "start" });
  dialog.showModal();
  placeNextTo(word.span);
  try {
    const { words } = await post("/api/next", question);
    if (asked !== latest) return;
    status.textContent = "";
    const current = JSON.stringify(word.tokens);
    const highest = words[0]?.probability;
    list.replaceChildren(...words.map((each) => row(each, highest, JSON.stringify(each.tokens) === current)));
    list.querySelector("button")?.focus();
  } catch (error) {
    if (asked !== latest) return;
    status.textContent = error.message;
  }
  placeNextTo(word.span);
}
