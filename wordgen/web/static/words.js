// The words of a text on the page: coloured by their surprisal, underlined where they are copied, and clickable.
// Everything from a model or a user is inserted as text, never as markup.

const MOST_BITS = 14; // a word of this surprisal or more (a probability of 1 in 16,384) has the strongest colour
const SPACE = /^(\s*)(.*?)(\s*)$/su;

export function probabilityInWords(bits) {
  const oneIn = Math.round(2 ** bits);
  return `${bits.toFixed(1)} bits: one in ${oneIn.toLocaleString("en")}`;
}

// Returns a visible sign for a word that is only white space, or for the end of a passage.
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

  tokensBetween(begin, end) {
    return this.words.slice(begin, end).flatMap((word) => word.tokens);
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
      span.title = probabilityInWords(word.bits);
    }
    const around = [before, after].map((space) => document.createTextNode(space));
    this.element.append(...(shown ? [around[0], span, around[1]] : [span, ...around]));
    this.words.push({ ...word, span, around });
  }

  truncate(count) {
    for (const word of this.words.splice(count)) {
      for (const node of [word.span, ...word.around]) node.remove();
    }
    for (const word of this.words) this.unmark(word);
  }

  // Marks copies. Their positions count tokens from the first word on, and a word may have several tokens.
  mark(copies) {
    for (const word of this.words) this.unmark(word);
    let start = 0;
    for (const word of this.words) {
      const end = start + word.tokens.length;
      const copy = copies.find((each) => each.start < end && start < each.start + each.tokens);
      if (copy) this.markOne(word, copy);
      start = end;
    }
  }

  markOne(word, copy) {
    word.source = `Copied from the training text: ${copy.file}, line ${copy.line} (${copy.tokens} tokens in a row)`;
    word.span.classList.add("copied");
    word.span.title = [word.source, typeof word.bits === "number" ? probabilityInWords(word.bits) : ""].filter(Boolean).join("\n");
  }

  unmark(word) {
    word.source = null;
    word.span.classList.remove("copied");
    word.span.title = typeof word.bits === "number" ? probabilityInWords(word.bits) : "";
  }

  chosen(span) {
    const index = this.words.findIndex((word) => word.span === span);
    if (index < 0) return;
    this.focus(index, false);
    this.onChoice(index);
  }

  // The Tab key stops at one word only; the arrow keys move from word to word.
  focus(index, really = true) {
    for (const word of this.words) word.span.tabIndex = -1;
    const word = this.words[Math.max(0, Math.min(index, this.words.length - 1))];
    if (!word) return;
    word.span.tabIndex = 0;
    if (really) word.span.focus();
  }

  keyPressed(event) {
    const index = this.words.findIndex((word) => word.span === event.target);
    if (index < 0) return;
    const goals = { ArrowRight: index + 1, ArrowLeft: index - 1, ArrowDown: index + 10, ArrowUp: index - 10 };
    Object.assign(goals, { Home: 0, End: this.words.length - 1 });
    if (event.key in goals) this.focus(goals[event.key]);
    else if (event.key === "Enter" || event.key === " ") this.chosen(event.target);
    else return;
    event.preventDefault();
  }
}
