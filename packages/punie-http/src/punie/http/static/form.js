// A question of an agent as a form. What fields there are and what they are called is the agent's;
// what is sent is what stands in them. Left out: patterns, which a hostile agent could make endless;
// the agent looks at the answer itself.

import { attempt, evident, h } from "./dom.js";
import { post } from "./api.js";

const TYPES = { email: "email", date: "date", "date-time": "datetime-local", uri: "url", __proto__: null };
const FEW = 4;
let made = 0;

export function form(asked) {
  const required = new Set(asked.form?.required ?? []);
  const fields = Object.entries(asked.form?.properties ?? {}).map(([name, schema]) => ({ name, ...field(name, schema, required.has(name)) }));
  const answer = (content) => attempt(post(`inbox/${asked.id}/submit`, { content }));
  return h("form", {
    class: "question",
    onsubmit: (event) => {
      event.preventDefault();
      answer(Object.fromEntries(fields.map(({ name, value }) => [name, value()]).filter(([, value]) => value !== undefined)));
    },
  },
  asked.form?.description ? h("p", { class: "soft" }, evident(asked.form.description)) : null,
  ...fields.map((one) => one.element),
  h("div", { class: "options" },
    h("button", { class: "allow" }, "Answer"),
    h("button", { type: "button", class: "reject", onclick: () => answer(null) }, "Decline")));
}

function field(name, schema, required) {
  const id = `field-${(made += 1)}`;
  const label = [evident(schema.title ?? name), required ? h("span", { class: "must" }, " required") : null];
  const note = schema.description ? h("small", { id: `${id}-note` }, evident(schema.description)) : null;
  const common = { id, "aria-describedby": note && `${id}-note` };
  if (schema.type === "boolean") {
    const box = h("input", { ...common, type: "checkbox", checked: schema.default === true });
    return { element: h("div", { class: "field tick" }, box, h("label", { for: id }, ...label), note), value: () => box.checked };
  }
  const choices = choicesOf(schema.type === "array" ? schema.items ?? {} : schema);
  if (choices && (schema.type === "array" || choices.length <= FEW)) return several(id, schema, choices, label, note, required);
  const control = choices ? select(common, schema, choices, required) : input(common, schema, required);
  const value = () => (control.value === "" ? undefined : valueOf(control.value, schema, choices));
  return { element: h("div", { class: "field" }, h("label", { for: id }, ...label), note, control), value };
}

const choicesOf = (schema) =>
  schema.oneOf ?? schema.anyOf ?? schema.enum?.map((value, at) => ({ const: value, title: schema.enumNames?.[at] ?? String(value) }));

function valueOf(text, schema, choices) {
  if (choices) return choices[Number(text)].const;
  if (schema.type !== "string" && schema.type !== undefined) return Number(text);
  return schema.format === "date-time" ? new Date(text).toISOString() : text;
}

// Few choices of which one, or any of which several can be taken, are all in sight.
function several(id, schema, choices, label, note, required) {
  const many = schema.type === "array";
  const preset = many ? schema.default ?? [] : [schema.default];
  const boxes = choices.map((one, at) => h("input", {
    type: many ? "checkbox" : "radio", name: id, id: `${id}-${at}`, required: required && !many, checked: preset.includes(one.const),
  }));
  const element = h("fieldset", { class: "field", "aria-describedby": note && `${id}-note` },
    h("legend", {}, ...label), note,
    ...boxes.map((box, at) => h("div", { class: "tick" }, box, h("label", { for: box.id }, evident(choices[at].title ?? choices[at].const)))));
  const taken = () => choices.filter((_, at) => boxes[at].checked).map((one) => one.const);
  return { element, value: () => (many && taken().length ? taken() : taken()[0]) };
}

function select(common, schema, choices, required) {
  return h("select", { ...common, required },
    h("option", { value: "" }, required ? "Choose" : "No answer"),
    ...choices.map((one, at) => h("option", { value: String(at), selected: one.const === schema.default }, evident(one.title ?? one.const))));
}

function input(common, schema, required) {
  const value = schema.default;
  if (schema.type === "number" || schema.type === "integer") {
    return h("input", { ...common, type: "number", required, value, min: schema.minimum, max: schema.maximum, step: schema.type === "integer" ? "1" : "any" });
  }
  const type = TYPES[schema.format];
  const limits = { required, minlength: schema.minLength, maxlength: schema.maxLength };
  if (type) return h("input", { ...common, ...limits, type, value: type === "datetime-local" ? undefined : value });
  return h("textarea", { ...common, ...limits, rows: "1", onkeydown: sends }, value);
}

// As in the composer: Enter sends, Shift+Enter begins a line.
function sends(event) {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  event.target.form.requestSubmit();
}
