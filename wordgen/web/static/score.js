// The score of a text and its player. The program that draws scores is loaded for the first one.

import { post } from "/api.js";
import { Player } from "/music.js";

let loading = null;

function abcjs() {
  loading ??= new Promise((done, failed) => {
    const script = Object.assign(document.createElement("script"), { src: "/abcjs.js", onload: done });
    script.onerror = () => failed(new Error("The score cannot be drawn. Is wordgen serve still running?"));
    document.head.append(script);
  });
  return loading;
}

export class Score {
  constructor(place) {
    this.place = place;
    this.player = null;
    this.shown = 0;
  }

  clear() {
    this.shown += 1; // an answer that comes late is not shown
    this.player?.stop("");
    this.player = null;
    this.place.hidden = true;
    this.place.replaceChildren();
  }

  // Shows a text that a model has written. Returns a sentence if there is nothing to show.
  async show(model, text) {
    this.clear();
    const { shown } = this;
    try {
      const [music] = await Promise.all([post("/api/music", { model, text }), abcjs()]);
      if (shown !== this.shown) return "";
      if (!music.notes.length) return "The text has no notes to play.";
      this.place.hidden = false;
      this.player = new Player(this.place, music);
      return "";
    } catch (error) {
      return shown === this.shown ? error.message : "";
    }
  }
}
