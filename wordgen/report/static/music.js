// Music on a page: a score that abcjs draws, and a player that uses the browser's own oscillators and no network.
// Everything from a model is inserted as text, never as markup.

const SECONDS_SCHEDULED_AHEAD = 1.5; // Seconds. In the background, browsers call timers only once a second.
const SECONDS_BETWEEN_SCHEDULES = 0.2;
const SECONDS_BEFORE_START = 0.1;
const ATTACK_SECONDS = 0.008;
const SHORTEST_TONE_SECONDS = 0.05;
const RELEASE_SECONDS = 0.4;
const LARGEST_GAIN = 0.3;
const DECAY = 0.3; // the share of a tone's loudness that is left after a second
const SMALLEST_DECAY = 0.02;
const OVERTONES = [0, 1, 0.45, 0.25, 0.12, 0.06, 0.03];
const LEAST_STAFF_WIDTH = 300;
const DISTANCE_TO_LOAD = "600px";
const DRAWING_OPTIONS = { add_classes: true, responsive: "resize", paddingleft: 0, paddingright: 12, paddingtop: 5, paddingbottom: 5 };
const WRAPPING_OPTIONS = { minSpacing: 1.6, maxSpacing: 2.8, preferredMeasuresPerLine: 4 };

let playing = null;

function createElement(name, className, text = "") {
  return Object.assign(document.createElement(name), { className, textContent: text });
}

function asTime(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

// Shows each piece of a page, whose data is inside as JSON, when it comes near to what is seen. Text in a folded part of a
// page cannot be measured, and many scores take seconds.
export function showAll() {
  const waiting = new Set(document.querySelectorAll(".music"));
  const show = (place) => {
    if (waiting.delete(place)) new Player(place, JSON.parse(place.querySelector("script").textContent));
  };
  const near = (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => show(entry.target));
  const observer = new IntersectionObserver(near, { rootMargin: DISTANCE_TO_LOAD });
  waiting.forEach((place) => observer.observe(place));
  addEventListener("beforeprint", () => {
    for (const place of [...waiting]) if (!place.closest("details:not([open])")) show(place);
  });
}

export class Player {
  constructor(place, music) {
    this.music = music;
    this.tempo = music.tempo;
    this.context = null;
    this.end = Math.max(...music.notes.map(([begin, length]) => begin + length)) / 1000;
    this.sounding = [];
    this.button = createElement("button", "play", "Play");
    this.button.type = "button";
    this.time = createElement("span", "time");
    this.status = createElement("span", "playing-status");
    this.status.setAttribute("role", "status");
    this.score = createElement("div", "score");
    const controls = createElement("div", "player");
    controls.append(this.button, this.tempoControl(), this.time, this.status);
    place.setAttribute("role", "group");
    if (!place.hasAttribute("aria-label")) place.setAttribute("aria-label", "Music");
    place.append(...(music.title ? [createElement("p", "music-title", music.title)] : []), this.score, controls);
    place.append(...music.faults.map((fault) => createElement("p", "fault", fault)));
    this.button.addEventListener("click", () => (this.isPlaying ? this.stop("Stopped.") : this.play()));
    this.showTime(0);
    this.draw();
  }

  tempoControl() {
    const label = createElement("label", "tempo", "Tempo ");
    const slider = Object.assign(createElement("input", ""), { type: "range", min: Math.ceil(this.music.tempo / 3) });
    Object.assign(slider, { max: 2 * this.music.tempo, step: 1, value: this.music.tempo });
    const shown = createElement("span", "", `${this.music.tempo}`);
    slider.addEventListener("input", () => {
      shown.textContent = slider.value;
      this.setTempo(Number(slider.value));
    });
    label.append(slider, shown);
    return label;
  }

  draw() {
    const staffwidth = Math.max(LEAST_STAFF_WIDTH, this.score.clientWidth);
    const ariaLabel = this.music.title ? `Score of ${this.music.title}` : "Score";
    try {
      const [tune] = globalThis.ABCJS.renderAbc(this.score, this.music.abc, { ...DRAWING_OPTIONS, ariaLabel, staffwidth, wrap: WRAPPING_OPTIONS });
      this.marks = this.marksWithElements(tune);
    } catch {
      this.marks = [];
      this.score.replaceChildren(createElement("p", "fault", "The score cannot be drawn."));
    }
  }

  // Returns the marks with the elements of the drawing, instead of positions in the text of the score.
  marksWithElements(tune) {
    const voices = tune.lines.flatMap((line) => line.staff ?? []).flatMap((staff) => staff.voices);
    const drawn = voices.flat().filter((each) => each.el_type === "note" && each.abselem?.elemset);
    const elements = new Map();
    for (const note of drawn) {
      for (let at = note.startChar; at < note.endChar; at += 1) elements.set(at, note.abselem.elemset);
    }
    return this.music.marks.map(([begin, end, at]) => ({ begin, end, elements: elements.get(at) ?? [] }));
  }

  get isPlaying() {
    return this.context !== null;
  }

  play() {
    playing?.stop("Stopped.");
    playing = this;
    this.context = new AudioContext();
    this.context.resume();
    this.wave = this.context.createPeriodicWave(new Float32Array(OVERTONES.length), new Float32Array(OVERTONES));
    this.out = new DynamicsCompressorNode(this.context);
    this.out.connect(this.context.destination);
    this.beginAt(0);
    this.timer = setInterval(() => this.schedule(), 1000 * SECONDS_BETWEEN_SCHEDULES);
    this.frame = requestAnimationFrame(() => this.show());
    this.button.textContent = "Stop";
    this.status.textContent = "Playing.";
  }

  // Plays from a position on, in seconds of the music at its own tempo.
  beginAt(position) {
    this.position = position;
    this.startedAt = this.context.currentTime + SECONDS_BEFORE_START;
    this.volume = new GainNode(this.context);
    this.volume.connect(this.out);
    const { notes } = this.music;
    const next = notes.findIndex(([begin]) => begin >= 1000 * position);
    this.next = next < 0 ? notes.length : next;
    this.schedule();
  }

  get rate() {
    return this.tempo / this.music.tempo;
  }

  // Returns where in the music it is now.
  get now() {
    return Math.max(0, this.position + (this.context.currentTime - this.startedAt) * this.rate);
  }

  schedule() {
    const { notes } = this.music;
    for (; this.next < notes.length; this.next += 1) {
      const at = this.startedAt + (notes[this.next][0] / 1000 - this.position) / this.rate;
      if (at > this.context.currentTime + SECONDS_SCHEDULED_AHEAD) return;
      this.playNote(notes[this.next], at);
    }
    if (this.now > this.end + RELEASE_SECONDS) this.stop("The end.");
  }

  playNote([, length, pitch, velocity], at) {
    const end = at + Math.max(length / 1000 / this.rate, SHORTEST_TONE_SECONDS);
    const loudness = LARGEST_GAIN * (velocity / 127) ** 1.5;
    const shape = new GainNode(this.context, { gain: 0 });
    shape.gain.setValueAtTime(0, at);
    shape.gain.linearRampToValueAtTime(loudness, at + ATTACK_SECONDS);
    shape.gain.exponentialRampToValueAtTime(loudness * Math.max(DECAY ** (end - at), SMALLEST_DECAY), end);
    shape.gain.setTargetAtTime(0, end, RELEASE_SECONDS / 8);
    const frequency = 440 * 2 ** ((pitch - 69) / 12);
    const tone = new OscillatorNode(this.context, { frequency, periodicWave: this.wave });
    tone.connect(shape).connect(this.volume);
    tone.start(at);
    tone.stop(end + RELEASE_SECONDS);
  }

  setTempo(tempo) {
    if (!this.isPlaying) {
      this.tempo = tempo;
      this.showTime(0);
      return;
    }
    const position = this.now;
    this.silence();
    this.tempo = tempo;
    this.beginAt(position);
  }

  silence() {
    this.volume.gain.setTargetAtTime(0, this.context.currentTime, 0.01);
  }

  stop(why) {
    if (!this.isPlaying) return;
    const { context } = this;
    this.silence();
    setTimeout(() => context.close(), 100); // without this time, there would be a click
    clearInterval(this.timer);
    cancelAnimationFrame(this.frame);
    this.context = null;
    playing = null;
    this.mark(-1);
    this.showTime(0);
    this.button.textContent = "Play";
    this.status.textContent = why;
  }

  show() {
    this.mark(1000 * this.now);
    this.showTime(this.now);
    this.frame = requestAnimationFrame(() => this.show());
  }

  mark(time) {
    const sounding = this.marks.filter(({ begin, end }) => begin <= time && time < end).flatMap(({ elements }) => elements);
    for (const element of this.sounding) if (!sounding.includes(element)) element.classList.remove("sounding");
    for (const element of sounding) element.classList.add("sounding");
    this.sounding = sounding;
  }

  showTime(position) {
    this.time.textContent = `${asTime(position / this.rate)} of ${asTime(Math.ceil(this.end / this.rate))}`;
  }
}
