// Controls for the settings. The server describes each setting: name, default, bounds, help text, slider.

let controlsMade = 0;

function labelOf(name) {
  const words = name.replaceAll("_", " ");
  return words[0].toUpperCase() + words.slice(1);
}

function made(tag, properties = {}, ...inside) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...inside);
  return element;
}

function choice(setting, id) {
  const options = setting.enum.map((each) => made("option", { value: each, textContent: each }));
  const select = made("select", { id, value: setting.default }, ...options);
  return { shown: [select], named: select, read: () => select.value, write: (value) => (select.value = value) };
}

function truth(setting, id) {
  const box = made("input", { type: "checkbox", id });
  return { shown: [box], named: box, read: () => box.checked, write: (value) => (box.checked = value) };
}

function words(setting, id) {
  const field = made("input", { type: "text", id, autocomplete: "off", placeholder: "none" });
  return { shown: [field], named: field, read: () => field.value || null, write: (value) => (field.value = value ?? "") };
}

function numberField(setting, id) {
  const field = made("input", { type: "number", id, step: "any", inputMode: "decimal" });
  const whole = [setting.type].flat().includes("integer");
  if (setting.minimum !== undefined) field.min = setting.minimum;
  if (setting.maximum !== undefined) field.max = setting.maximum;
  if (setting.default === null) field.placeholder = "random";
  if (whole) Object.assign(field, { step: 1, inputMode: "numeric" });
  const read = () => (field.value === "" ? setting.default : Number(field.value));
  return { shown: [field], named: field, read, write: (value) => (field.value = value ?? "") };
}

function slider(setting, id) {
  const number = numberField(setting, id);
  const [min, max, step] = setting.slider;
  const range = made("input", { type: "range", min, max, step });
  range.setAttribute("aria-label", `${labelOf(setting.name)}, slider`);
  range.addEventListener("input", () => (number.named.value = range.value));
  number.named.addEventListener("input", () => (range.value = number.named.value));
  const write = (value) => (number.write(value), (range.value = value));
  return { ...number, shown: [number.named, range], write };
}

function kindOf(setting) {
  if (setting.enum) return choice;
  if (setting.type === "boolean") return truth;
  if (setting.slider) return slider;
  return [setting.type].flat().includes("string") ? words : numberField;
}

function control(setting) {
  const id = `setting-${++controlsMade}`;
  const its = kindOf(setting)(setting, id);
  const help = made("p", { id: `${id}-help`, className: "faint help", textContent: setting.description });
  for (const each of its.shown) each.setAttribute("aria-describedby", help.id);
  its.named.name = setting.name;
  const label = made("label", { htmlFor: id, textContent: labelOf(setting.name) });
  const fieldset = made("fieldset", { className: `control ${its.shown.length > 1 ? "slid" : ""}` }, label, ...its.shown, help);
  its.write(setting.default);
  return { ...its, fieldset, setting };
}

// All controls, in two places: the most important ones are visible, the others are in "More settings".
export class Controls {
  constructor(settings, first, others) {
    this.each = settings.map(control);
    for (const { fieldset, setting } of this.each) (setting.at_first_sight ? first : others).append(fieldset);
    this.of("mode").named.addEventListener("change", () => this.dim());
    this.model = { knows_copies: true, writes_tunes: false };
    this.dim();
  }

  of(name) {
    return this.each.find(({ setting }) => setting.name === name);
  }

  // Disables the settings that have no effect at the moment, and hides those of tunes if the model writes none.
  dim() {
    const mode = this.of("mode").read();
    for (const { fieldset, setting } of this.each) {
      const otherMode = setting.only_in_mode !== null && setting.only_in_mode !== mode;
      const noIndex = (setting.name.startsWith("max_copy") || setting.name === "mix") && !this.model.knows_copies;
      fieldset.hidden = setting.only_for_tunes && !this.model.writes_tunes;
      fieldset.disabled = otherMode || noIndex || fieldset.hidden;
    }
  }

  // Takes what the server says about the chosen model.
  setModel(model) {
    this.model = model;
    this.dim();
  }

  // Returns only the values that differ from the defaults and have an effect.
  values() {
    const changed = this.each.filter((its) => !its.fieldset.disabled && its.read() !== its.setting.default);
    return Object.fromEntries(changed.map((its) => [its.setting.name, its.read()]));
  }

  reset() {
    for (const its of this.each) its.write(its.setting.default);
    this.dim();
  }

  take(other) {
    for (const its of this.each) its.write(other.of(its.setting.name).read());
    this.dim();
  }
}
