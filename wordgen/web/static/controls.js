// Controls for the settings. The server describes each setting: name, default, bounds, help text, slider.

let controlsMade = 0;

function labelOf(name) {
  const words = name.replaceAll("_", " ");
  return words[0].toUpperCase() + words.slice(1);
}

function createElement(tag, properties = {}, ...inside) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...inside);
  return element;
}

function dropdown(setting, id) {
  const options = setting.enum.map((each) => createElement("option", { value: each, textContent: each }));
  const select = createElement("select", { id }, ...options);
  return { elements: [select], input: select, read: () => select.value, write: (value) => (select.value = value) };
}

function checkbox(setting, id) {
  const box = createElement("input", { type: "checkbox", id });
  return { elements: [box], input: box, read: () => box.checked, write: (value) => (box.checked = value) };
}

function textField(setting, id) {
  const field = createElement("input", { type: "text", id, autocomplete: "off", placeholder: "none" });
  return { elements: [field], input: field, read: () => field.value || null, write: (value) => (field.value = value ?? "") };
}

function numberField(setting, id) {
  const field = createElement("input", { type: "number", id, step: "any", inputMode: "decimal" });
  const whole = [setting.type].flat().includes("integer");
  if (setting.minimum !== undefined) field.min = setting.minimum;
  if (setting.maximum !== undefined) field.max = setting.maximum;
  if (setting.default === null) field.placeholder = "random";
  if (whole) Object.assign(field, { step: 1, inputMode: "numeric" });
  const read = () => (field.value === "" ? setting.default : Number(field.value));
  return { elements: [field], input: field, read, write: (value) => (field.value = value ?? "") };
}

function slider(setting, id) {
  const number = numberField(setting, id);
  const [min, max, step] = setting.slider;
  const range = createElement("input", { type: "range", min, max, step });
  range.setAttribute("aria-label", `${labelOf(setting.name)}, slider`);
  range.addEventListener("input", () => (number.input.value = range.value));
  number.input.addEventListener("input", () => (range.value = number.input.value));
  const write = (value) => (number.write(value), (range.value = value));
  return { ...number, elements: [number.input, range], write };
}

function makerOf(setting) {
  if (setting.enum) return dropdown;
  if (setting.type === "boolean") return checkbox;
  if (setting.slider) return slider;
  return [setting.type].flat().includes("string") ? textField : numberField;
}

function makeControl(setting) {
  const id = `setting-${++controlsMade}`;
  const control = makerOf(setting)(setting, id);
  const help = createElement("p", { id: `${id}-help`, className: "faint help", textContent: setting.description });
  for (const each of control.elements) each.setAttribute("aria-describedby", help.id);
  control.input.name = setting.name;
  const label = createElement("label", { htmlFor: id, textContent: labelOf(setting.name) });
  const fieldset = createElement("fieldset", { className: `control ${control.elements.length > 1 ? "slid" : ""}` }, label, ...control.elements, help);
  control.write(setting.default);
  return { ...control, fieldset, setting };
}

// All controls, in two places: the most important ones are visible, the others are in "More settings".
export class Controls {
  constructor(settings, first, others) {
    this.each = settings.map(makeControl);
    for (const { fieldset, setting } of this.each) (setting.is_main ? first : others).append(fieldset);
    this.of("mode").input.addEventListener("change", () => this.updateDisabled());
    this.model = { has_copy_index: true, writes_tunes: false };
    this.updateDisabled();
  }

  of(name) {
    return this.each.find(({ setting }) => setting.name === name);
  }

  // Disables the settings that have no effect at the moment, and hides those of tunes if the model writes none.
  updateDisabled() {
    const mode = this.of("mode").read();
    for (const { fieldset, setting } of this.each) {
      const otherMode = setting.only_in_mode !== null && setting.only_in_mode !== mode;
      const noIndex = (setting.name.startsWith("max_copy") || setting.name === "mix") && !this.model.has_copy_index;
      fieldset.hidden = setting.only_for_tunes && !this.model.writes_tunes;
      fieldset.disabled = otherMode || noIndex || fieldset.hidden;
    }
  }

  // Takes what the server says about the chosen model.
  setModel(model) {
    this.model = model;
    this.updateDisabled();
  }

  // Returns only the values that differ from the defaults and have an effect.
  values() {
    const changed = this.each.filter((control) => !control.fieldset.disabled && control.read() !== control.setting.default);
    return Object.fromEntries(changed.map((control) => [control.setting.name, control.read()]));
  }

  reset() {
    for (const control of this.each) control.write(control.setting.default);
    this.updateDisabled();
  }

  copyFrom(other) {
    for (const control of this.each) control.write(other.of(control.setting.name).read());
    this.updateDisabled();
  }
}
