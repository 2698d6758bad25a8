// One side of the page: a model, its settings, and what it writes.

import { showAlternatives } from "/alternatives.js";
import { get, written } from "/api.js";
import { Controls } from "/controls.js";
import { Words } from "/words.js";

const ENDED = {
  length: "the length is up",
  end: "the text ends here",
  sentence: "the sentence is over",
  line: "the line is over",
  until: "what was waited for has come",
  "nothing left": "nothing was allowed any more",
  time: "the time for one request is up",
};
const HEARD_AT_ONCE = 12;

function counted(number, word) {
  return `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;
}

export class Side {
  constructor(name, models, settings, onModel) {
    const template = document.getElementById("side").content.cloneNode(true);
    this.element = template.querySelector(".side");
    this.element.setAttribute("aria-label", name);
    this.find = (selector) => this.element.querySelector(selector);
    this.models = models;
    this.model = this.find(".model");
    this.model.append(...models.map(({ name: each }) => new Option(each, each)));
    this.controls = new Controls(settings, this.find(".first"), this.find(".others"));
    this.words = new Words(this.find(".text"), (place) => this.askAt(place));
    this.find(".text").setAttribute("aria-label", `${name}: the text, word by word`);
    this.stopping = null;
    this.heard = 0;
    this.change = null;
    this.model.addEventListener("change", () => this.modelChosen().then(onModel));
    this.find(".defaults").addEventListener("click", () => this.controls.reset());
    this.find(".copy-text").addEventListener("click", () => this.copyText());
  }

  // What there is to say of a model; its examples.
  async modelChosen() {
    const listed = this.models.find(({ name }) => name === this.model.value);
    this.find(".network").textContent = listed.problem ?? `learned ${listed.corpus}: ${listed.network}`;
    this.examples = [];
    try {
      const about = await get(`/api/models/${encodeURIComponent(this.model.value)}`);
      if (about.name !== this.model.value) return;
      this.examples = about.examples;
      this.controls.setKnowsCopies(about.knows_copies);
    } catch (error) {
      this.tell(error.message, true);
    }
  }

  get isWriting() {
    return this.stopping !== null;
  }

  // Begins anew from a seed.
  async write(seed) {
    this.stop();
    await this.goOn({ seed }, () => this.words.clear());
  }

  // What stands is changed when the server has begun to answer, and stays when it refuses.
  async goOn(from, change) {
    this.change = change;
    const stopping = new AbortController();
    this.stopping = stopping;
    this.find(".heard").replaceChildren();
    this.find(".copy-text").hidden = true;
    this.element.classList.add("writing");
    this.tell("Writing …");
    this.find(".text").scrollIntoView({ block: "nearest" });
    this.dispatch();
    try {
      for await (const event of written({ model: this.model.value, ...this.controls.values(), ...from }, stopping.signal)) {
        if (this.stopping !== stopping) return;
        this.take(event);
      }
    } catch (error) {
      if (this.stopping !== stopping) return;
      if (error.name === "AbortError") this.tell(this.change ? "Stopped." : `Stopped after ${counted(this.words.words.length, "word")}.`);
      else this.tell(error.message, true);
    }
    this.hear(true);
    this.stopping = null;
    this.element.classList.remove("writing");
    this.find(".copy-text").hidden = !this.words.text;
    this.dispatch();
  }

  take(event) {
    if (event.event === "begin") this.begin(event);
    if (event.event === "word") {
      this.words.add(event);
      this.hear(false);
    }
    if (event.event === "copies") this.copies = event.copies;
    if (event.event === "end") this.end(event);
  }

  begin(event) {
    this.change();
    this.change = null;
    this.copies = null;
    this.notes = [];
    for (const word of event.seed_words) this.words.add({ ...word, seed: true });
    this.heard = this.words.words.length;
    for (const { word, near } of event.unknown.slice(0, 5)) {
      this.notes.push(`“${word}” is unknown and left out${near.length ? ` (did you mean ${near.join(" or ")}?)` : ""}.`);
    }
    if (event.unknown.length > 5) this.notes.push(`${event.unknown.length - 5} more words are unknown and left out.`);
    if (event.cut) this.notes.push("Of so long a beginning the end alone is read.");
    this.randomSeed = event.random_seed;
    this.writer = event.model; // another may be chosen by the time that a word is clicked
    this.tell(["Writing …", ...this.notes].join(" "));
  }

  end(event) {
    const facts = [`${counted(event.symbols, "symbol")} in ${event.seconds.toFixed(2)} s: ${ENDED[event.ended] ?? event.ended}.`];
    if (event.symbols) facts.push(`Perplexity ${event.perplexity.toLocaleString("en", { maximumFractionDigits: 1 })}.`);
    if (this.copies === null) facts.push("Copies cannot be seen: the model has no copy index.");
    else if (this.copies.length) facts.push(`Copied from the training text: ${counted(this.copies.length, "run")} of words, underlined.`);
    else facts.push("No five symbols in a row stand in the training text.");
    facts.push(`Random seed ${this.randomSeed}.`);
    this.words.mark(this.copies ?? []);
    this.tell([...this.notes, ...facts].join(" "));
  }

  // Screen readers hear a dozen words at a time, and not each word as the button that it is.
  hear(all) {
    const words = this.words.words.slice(this.heard);
    if (!words.length || (!all && words.length < HEARD_AT_ONCE)) return;
    const line = document.createElement("p");
    line.textContent = words.map((word) => word.piece).join("").trim();
    this.find(".heard").append(line);
    this.heard = this.words.words.length;
  }

  askAt(place) {
    const word = this.words.words[place];
    const symbols = this.words.symbolsBefore(place);
    const take = (other) => this.takeAlternative(place, other);
    showAlternatives(word, { model: this.writer, symbols, number: 12 }, take);
  }

  async takeAlternative(place, other) {
    this.stop();
    const symbols = [...this.words.symbolsBefore(place), ...other.symbols];
    await this.goOn({ model: this.writer, symbols }, () => {
      this.words.keep(place);
      this.words.add({ ...other, chosen: true });
      this.words.focus(place);
    });
  }

  stop() {
    this.stopping?.abort();
  }

  async copyText() {
    try {
      await navigator.clipboard.writeText(this.words.text);
      this.tell("Copied.");
    } catch { // browsers let pages of other machines copy only where they come by HTTPS
      window.getSelection().selectAllChildren(this.find(".text"));
      this.tell("The browser does not let this page copy. The text is selected: copy it yourself.");
    }
  }

  tell(sentence, wrong = false) {
    const status = this.find(".status");
    status.textContent = sentence;
    status.classList.toggle("problem", wrong);
  }

  dispatch() {
    this.element.dispatchEvent(new CustomEvent("writing", { bubbles: true }));
  }
}
