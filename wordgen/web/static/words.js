// The words of a text on the page: tinted by their surprisal, marked where they are copied, to be chosen one by one.
// All that comes from a model or a user goes in as text, never as markup.

const MOST_BITS = 14; // what is less likely than one in sixteen thousand has the full tint
const SPACE = /^(\s*)(.*?)(\s*)$/su;

export function oddsInWords(bits) {
  const oneIn = Math.round(2 ** bits);
  return `${bits.toFixed(1)} bits: one in ${oneIn.toLocaleString("en")}`;
}

// For a word that is nothing but space, or the end of a unit.
function signOf(space) {
  if (!space) return "¶";
  return space.includes("\n") ? "↵" : "␣";
}

export class Words {
  constructor(element, onChoice) {
    this.element = element;
    this.onChoice = onChoice;
    this.words = [];
    this.clear();
    element.addEventListener("click", (event) => this.chosen(event.target.closest(".word")));
    element.addEventListener("keydown", (event) => this.keyPressed(event));
  }

  clear() {
    this.words = [];
    this.element.replaceChildren();
  }

  get text() {
    return this.words.map((word) => word.piece).join("").trim();
  }

  symbolsBefore(place) {
    return this.words.slice(0, place).flatMap((word) => word.symbols);
  }

  add(word) {
    const [, before, shown, after] = word.piece.match(SPACE);
    const span = document.createElement("span");
    span.className = "word";
    span.setAttribute("role", "button");
    span.tabIndex = this.words.length ? -1 : 0;
    span.textContent = shown || signOf(before);
    if (!shown) span.classList.add("sign");
    if (word.seed) span.classList.add("seed");
    if (typeof word.bits === "number") {
      span.style.setProperty("--tint", Math.min(word.bits / MOST_BITS, 1).toFixed(3));
      span.title = oddsInWords(word.bits);
    }
    const around = [before, after].map((space) => document.createTextNode(space));
    this.element.append(...(shown ? [around[0], span, around[1]] : [span, ...around]));
    this.words.push({ ...word, span, around });
  }

  keep(number) {
    for (const word of this.words.splice(number)) {
      for (const node of [word.span, ...word.around]) node.remove();
    }
    for (const word of this.words) this.unmark(word);
  }

  // Copies count symbols from the first word on; a word may be several symbols.
  mark(copies) {
    for (const word of this.words) this.unmark(word);
    let start = 0;
    for (const word of this.words) {
      const end = start + word.symbols.length;
      const copy = copies.find((each) => each.start < end && start < each.start + each.symbols);
      if (copy) this.markOne(word, copy);
      start = end;
    }
  }

  markOne(word, copy) {
    word.source = `Word for word in the training text: ${copy.file}, line ${copy.line} (${copy.symbols} in a row)`;
    word.span.classList.add("copied");
    word.span.title = [word.source, typeof word.bits === "number" ? oddsInWords(word.bits) : ""].filter(Boolean).join("\n");
  }

  unmark(word) {
    word.source = null;
    word.span.classList.remove("copied");
    word.span.title = typeof word.bits === "number" ? oddsInWords(word.bits) : "";
  }

  chosen(span) {
    const place = this.words.findIndex((word) => word.span === span);
    if (place < 0) return;
    this.focus(place, false);
    this.onChoice(place);
  }

  // One word at a time is a stop of the Tab key; the arrows go from word to word.
  focus(place, really = true) {
    for (const word of this.words) word.span.tabIndex = -1;
    const word = this.words[Math.max(0, Math.min(place, this.words.length - 1))];
    if (!word) return;
    word.span.tabIndex = 0;
    if (really) word.span.focus();
  }

  keyPressed(event) {
    const place = this.words.findIndex((word) => word.span === event.target);
    if (place < 0) return;
    const goals = { ArrowRight: place + 1, ArrowLeft: place - 1, ArrowDown: place + 10, ArrowUp: place - 10 };
    Object.assign(goals, { Home: 0, End: this.words.length - 1 });
    if (event.key in goals) this.focus(goals[event.key]);
    else if (event.key === "Enter" || event.key === " ") this.chosen(event.target);
    else return;
    event.preventDefault();
  }
}
