// The playground: one prompt, and one or two sides that continue it.

import { get, post } from "/api.js";
import { Side } from "/side.js";

const byId = (id) => document.getElementById(id);
const seed = byId("seed");
const sides = [];

function showProblem(sentence) {
  byId("problem").textContent = sentence;
  byId("problem").hidden = false;
  byId("beginning").inert = true;
}

function showExamples() {
  const chips = (sides[0].examples ?? []).map((example) => {
    const chip = Object.assign(document.createElement("button"), { type: "button", textContent: example });
    chip.addEventListener("click", () => {
      seed.value = example;
      writeAll();
    });
    return chip;
  });
  byId("examples").replaceChildren(...chips);
  const hint = "Press Ctrl+Enter to write.";
  byId("hint").textContent = chips.length ? `${hint} Or try one of these prompts:` : hint;
}

function writeAll() {
  for (const side of sides) side.write(seed.value);
}

function addSide(name, models, settings) {
  const side = new Side(name, models, settings, () => side === sides[0] && showExamples());
  sides.push(side);
  byId("sides").append(side.element);
  return side;
}

function addSecondSide(models, settings) {
  const [first] = sides;
  const second = addSide("Second", models, settings);
  second.controls.copyFrom(first.controls);
  const other = models.find(({ name }) => name !== first.model.value);
  second.model.value = (other ?? models[0]).name;
  second.modelChosen();
}

function compare(models, settings) {
  if (byId("compare").checked) addSecondSide(models, settings);
  else sides.pop().close();
  showLayout();
  showWhetherItWrites();
}

function showWhetherItWrites() {
  byId("stop").disabled = !sides.some((side) => side.isWriting);
}

// With two sides, the settings are above the texts and closed, so that the texts can be seen.
function showLayout() {
  const two = sides.length > 1;
  byId("sides").classList.toggle("two", two);
  const roomy = !two && window.matchMedia("(min-width: 56rem)").matches;
  for (const side of sides) side.find(".settings").open = roomy;
}

function listen(models, settings) {
  byId("beginning").addEventListener("submit", (event) => {
    event.preventDefault();
    writeAll();
  });
  seed.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    writeAll();
  });
  byId("stop").addEventListener("click", () => sides.forEach((side) => side.stop()));
  byId("compare").addEventListener("change", () => compare(models, settings));
  document.addEventListener("writing", showWhetherItWrites);
}

async function begin() {
  const [{ models }, { settings }] = await Promise.all([get("/api/models"), get("/api/settings")]);
  if (!models.length) await post("/api/next", {}); // fails with the server's advice
  const first = addSide("First", models, settings);
  showLayout();
  listen(models, settings);
  await first.modelChosen();
  showExamples();
  document.body.dataset.ready = "yes";
}

begin().catch((error) => showProblem(error.message));
