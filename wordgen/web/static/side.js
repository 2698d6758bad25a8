// One side of the page: a model, its settings, and its text.

import { showAlternatives } from "/alternatives.js";
import { get, streamText } from "/api.js";
import { Controls } from "/controls.js";
import { Score } from "/score.js";
import { Words } from "/words.js";

const END_REASONS = {
  length: "the length is reached",
  end: "the passage has ended",
  sentence: "the sentence has ended",
  line: "the line has ended",
  until: "the text of the setting “until” was written",
  "nothing left": "no token was allowed next",
  time: "the time limit of a request is reached",
};
const WORDS_PER_ANNOUNCEMENT = 12;

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
    this.words = new Words(this.find(".text"), (index) => this.askAt(index));
    this.find(".text").setAttribute("aria-label", `${name}: the text, word by word`);
    this.score = new Score(this.find(".music"));
    this.find(".music").setAttribute("aria-label", `${name}: music`);
    this.stopping = null;
    this.announcedWords = 0;
    this.prompt = null; // what the text begins with: the prompt, its key and metre, and the number of its words
    this.prepareText = null;
    this.model.addEventListener("change", () => this.modelChosen().then(onModel));
    this.find(".defaults").addEventListener("click", () => this.controls.reset());
    this.find(".copy-text").addEventListener("click", () => this.copyText());
  }

  // Shows what is known about the chosen model, and loads its examples of prompts.
  async modelChosen() {
    const listed = this.models.find(({ name }) => name === this.model.value);
    this.find(".network").textContent = listed.problem ?? `trained on ${listed.corpus}: ${listed.network}`;
    this.examples = [];
    delete this.element.dataset.ready;
    try {
      const about = await get(`/api/models/${encodeURIComponent(this.model.value)}`);
      if (about.name !== this.model.value) return;
      this.examples = about.examples;
      this.controls.setModel(about);
      this.element.dataset.ready = about.name;
    } catch (error) {
      this.showStatus(error.message, true);
    }
  }

  get isWriting() {
    return this.stopping !== null;
  }

  // Starts a new text from a prompt.
  async write(seed) {
    this.stop();
    const { key, metre } = this.controls.values();
    await this.continueText({ seed }, (seedWords) => {
      this.words.clear();
      for (const word of seedWords) this.words.add({ ...word, seed: true });
      this.prompt = { seed, key, metre, words: seedWords.length };
    });
  }

  // Continues the text. `prepareText` is called when the server begins to answer, so the old text stays on the page if the
  // server refuses.
  async continueText(from, prepareText) {
    this.prepareText = prepareText;
    const values = this.controls.values();
    const stopping = new AbortController();
    this.stopping = stopping;
    this.find(".announcements").replaceChildren();
    this.find(".copy-text").hidden = true;
    this.element.classList.add("writing");
    this.showStatus("Writing …");
    this.find(".text").scrollIntoView({ block: "nearest" });
    this.dispatchWriting();
    try {
      for await (const event of streamText({ model: this.model.value, ...values, ...from }, stopping.signal)) {
        if (this.stopping !== stopping) return;
        if (event.event === "begin") this.mix = values.mix;
        this.handleEvent(event);
      }
    } catch (error) {
      if (this.stopping !== stopping) return;
      if (error.name === "AbortError") this.showStatus(this.prepareText ? "Stopped." : `Stopped after ${counted(this.words.words.length, "word")}.`);
      else this.showStatus(error.message, true);
    }
    this.announce(true);
    this.stopping = null;
    this.element.classList.remove("writing");
    this.find(".copy-text").hidden = !this.words.text;
    this.dispatchWriting();
    if (this.isMusic && !this.prepareText && this.words.text) await this.showMusic();
  }

  async showMusic() {
    const { textContent } = this.find(".status");
    const sentence = await this.score.show(this.writer, this.words.text);
    if (sentence && !this.isWriting) this.showStatus(`${textContent} ${sentence}`);
  }

  handleEvent(event) {
    if (event.event === "wait") this.showStatus(`${event.reason} …`);
    if (event.event === "begin") this.begin(event);
    if (event.event === "word") {
      this.words.add(event);
      this.announce(false);
    }
    if (event.event === "copies") this.copies = event.copies;
    if (event.event === "end") this.end(event);
  }

  begin(event) {
    this.prepareText(event.seed_words);
    this.prepareText = null;
    this.copies = null;
    this.isMusic = event.music;
    this.score.clear();
    this.notes = [];
    this.announcedWords = this.words.words.length;
    for (const { word, similar } of event.unknown.slice(0, 5)) {
      this.notes.push(`The model does not know “${word}” and leaves it out${similar.length ? ` (did you mean ${similar.join(" or ")}?)` : ""}.`);
    }
    if (event.unknown.length > 5) this.notes.push(`It leaves out ${event.unknown.length - 5} more unknown words.`);
    if (event.cut) this.notes.push("The prompt is long, so only its end was read.");
    this.randomSeed = event.random_seed;
    this.writer = event.model; // the user may have chosen another model before clicking a word
    this.showStatus(["Writing …", ...this.notes].join(" "));
  }

  end(event) {
    const facts = [`${counted(event.tokens, "token")} in ${event.seconds.toFixed(2)} s: ${END_REASONS[event.ended] ?? event.ended}.`];
    if (event.tokens) facts.push(`Perplexity ${event.perplexity.toLocaleString("en", { maximumFractionDigits: 1 })}.`);
    if (this.copies === null) facts.push("Copies cannot be found, because the model has no copy index.");
    else if (this.copies.length) facts.push(`${this.copies.length === 1 ? "1 match" : `${this.copies.length} matches`} with the training text, underlined.`);
    else facts.push("No match of five or more tokens with the training text.");
    facts.push(`Random seed ${this.randomSeed}.`);
    this.words.mark(this.copies ?? []);
    this.showStatus([...this.notes, ...facts].join(" "));
  }

  // Gives screen readers a dozen words at a time. Otherwise they would announce each word as a button.
  announce(all) {
    const words = this.words.words.slice(this.announcedWords);
    if (!words.length || (!all && words.length < WORDS_PER_ANNOUNCEMENT)) return;
    const line = document.createElement("p");
    line.textContent = words.map((word) => word.piece).join("").trim();
    this.find(".announcements").append(line);
    this.announcedWords = this.words.words.length;
  }

  askAt(index) {
    const { words, ...beginning } = this.beginningBefore(index);
    const question = { model: this.writer, ...beginning, tokens: this.words.tokensBetween(words, index), number: 12, mix: this.mix };
    showAlternatives(this.words.words[index], question, (other) => this.takeAlternative(index, other));
  }

  // Returns what a text begins with that continues before a word: the prompt with its key and metre. If the prompt itself
  // changes, only its tokens stay, and they have the metre already.
  beginningBefore(index) {
    return index < this.prompt.words ? { key: this.prompt.key, metre: null, words: 0 } : this.prompt;
  }

  async takeAlternative(index, other) {
    this.stop();
    const { words, ...beginning } = this.beginningBefore(index);
    const tokens = [...this.words.tokensBetween(words, index), ...other.tokens];
    await this.continueText({ model: this.writer, ...beginning, tokens }, () => {
      this.prompt = { ...beginning, words };
      this.words.truncate(index);
      this.words.add({ ...other, chosen: true });
      this.words.focus(index);
    });
  }

  stop() {
    this.stopping?.abort();
  }

  // Ends what the side does before it disappears.
  close() {
    this.isMusic = false;
    this.stop();
    this.score.clear();
    this.element.remove();
  }

  async copyText() {
    try {
      await navigator.clipboard.writeText(this.words.text);
      this.showStatus("Copied.");
    } catch { // without HTTPS, browsers let only pages of this machine copy
      window.getSelection().selectAllChildren(this.find(".text"));
      this.showStatus("The browser does not allow this page to copy. The text is selected, so you can copy it yourself.");
    }
  }

  showStatus(sentence, wrong = false) {
    const status = this.find(".status");
    status.textContent = sentence;
    status.classList.toggle("problem", wrong);
  }

  dispatchWriting() {
    this.element.dispatchEvent(new CustomEvent("writing", { bubbles: true }));
  }
}
