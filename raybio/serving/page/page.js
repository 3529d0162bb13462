// The page: asks the API for a text's mentions, and shows what one model says or how two differ.

import { groupsOf } from "./differences.js";
import { counted, Drawing, element, errorBox, inSeconds } from "./drawing.js";

const [form, text, first, second, results, tip] = ["form", "text", "first", "second", "results", "tip"].map(byId);
let models = [];
let running = null; // what aborts the requests under way

function byId(id) {
  return document.getElementById(id);
}

function say(message) {
  byId("status").textContent = message;
}

// ---- Asking ----

/** Return the body of a JSON answer, or throw {message, remedy}. */
async function call(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw { message: "the server did not answer", remedy: "See whether it still runs, then try again" };
  }
  const body = await response.json().catch(() => null);
  if (response.ok && body) return body;
  const unexplained = {
    message: `the server answered ${response.status} and did not say why`,
    remedy: "Its log says more",
  };
  throw body?.error ?? unexplained;
}

/** Return one model's answer to the text, or its error, and the seconds that we waited. */
async function ask(model, signal) {
  const began = performance.now();
  const answered = await call("tag", {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json" },
    body: JSON.stringify({ model, text: text.value }),
    signal,
  }).then(
    (body) => ({ body, text: body.documents[0].text, mentions: body.documents[0].mentions }),
    (error) => ({ error }),
  );
  return { model, seconds: (performance.now() - began) / 1000, ...answered };
}

/** Ask each chosen model, one after another so that neither slows the other, and draw as answers come. */
async function tag() {
  running?.abort();
  if (!text.value.trim()) {
    say("There is no text yet: paste one, or pick a sample.");
    text.focus();
    return;
  }
  const mine = (running = new AbortController());
  const answers = [];
  byId("go").textContent = "Tagging …";
  for (const name of [first.value, second.value].filter(Boolean)) {
    say(`Tagging with ${name} …`);
    const answer = await ask(name, mine.signal);
    if (mine.signal.aborted) return;
    answers.push(answer);
    show(answers);
  }
  byId("go").textContent = "Tag";
  say(answers.map(summary).join(" "));
  results.scrollIntoView({ block: "nearest" });
}

function show(answers) {
  const groups = groupsOf(answers);
  const labels = [...new Set(models.flatMap((model) => model.labels))].sort();
  const drawing = new Drawing(labels, answers, groups, say);
  const compared = groups.some((group) => group.verdict);
  byId("differences").replaceChildren(...(compared ? [drawing.differences()] : []));
  byId("panes").replaceChildren(...answers.map((answer, side) => drawing.pane(answer, side)));
  byId("mentions").replaceChildren(...(groups.length ? [drawing.table()] : []));
  byId("options").hidden = byId("list").hidden = !groups.length;
  byId("fading").hidden = !compared;
  byId("faded").checked &&= compared;
  results.hidden = false;
  hideTip();
}

function summary({ model, mentions, error, seconds }) {
  return error ? `${model} failed.` : `${model}: ${counted(mentions.length, "mention")} in ${inSeconds(seconds)}.`;
}

// ---- The mention under the pointer or the keyboard, and all that overlap it ----

function light(group, on) {
  for (const each of results.querySelectorAll(`[data-group="${group}"]`)) each.classList.toggle("lit", on);
}

function enter({ target }) {
  const part = target.closest("[data-group]");
  if (part) light(part.dataset.group, true);
  if (part?.matches("mark")) showTip(part);
}

function leave({ target }) {
  const part = target.closest("[data-group]");
  if (part) light(part.dataset.group, false);
  hideTip();
}

/** Show what is known of a mention above its first line, or below where there is no room. */
function showTip(mark) {
  tip.textContent = mark.ariaDescription;
  tip.hidden = false;
  const { left, top, bottom } = mark.getClientRects()[0];
  const { width, height } = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(8, Math.min(left, document.documentElement.clientWidth - width - 8))}px`;
  tip.style.top = `${top > height + 8 ? top - height - 6 : bottom + 6}px`;
}

function hideTip() {
  tip.hidden = true;
}

/** Move among a text's mentions, of which one at a time can be reached with Tab. */
function move(event) {
  if (event.key === "Escape") hideTip();
  const mark = event.target.closest("mark");
  if (!mark) return;
  const marks = [...mark.parentElement.querySelectorAll("mark")];
  const here = marks.indexOf(mark);
  const goals = { ArrowRight: here + 1, ArrowLeft: here - 1, Home: 0, End: marks.length - 1 };
  const next = marks[goals[event.key]];
  if (!next) return;
  event.preventDefault();
  mark.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}

// ---- The form ----

/** Keep the choice sensible (a model is not compared with itself) and say what was chosen. */
function choose() {
  for (const option of second.options) option.disabled = option.value === first.value;
  if (second.value === first.value) second.value = "";
  for (const select of [first, second]) {
    const model = models.find((each) => each.name === select.value);
    const known = model ? [model.kind, model.model, model.precision, model.mode, model.labels.join(", ")] : [];
    byId(`${select.id}-about`).textContent = known.filter(Boolean).join(" · ");
  }
}

async function listModels() {
  ({ models } = await call("models"));
  const names = models.map((model) => model.name);
  first.replaceChildren(...names.map((name) => new Option(name)));
  second.replaceChildren(new Option("nothing", ""), ...names.map((name) => new Option(name)));
  second.disabled = names.length < 2;
  second.value = names[1] ?? "";
  choose();
}

function measure() {
  byId("length").textContent = counted(Array.from(text.value).length, "character");
}

function addSample(template) {
  const button = element("button", { type: "button" }, template.dataset.name);
  button.addEventListener("click", () => {
    text.value = template.content.textContent.trim().replace(/\s+/g, " ");
    measure();
    text.focus();
    text.setSelectionRange(0, 0);
    text.scrollTop = 0;
  });
  byId("samples").append(button);
}

document.querySelectorAll("template.sample").forEach(addSample);
text.addEventListener("input", measure);
first.addEventListener("change", choose);
second.addEventListener("change", choose);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  tag();
});
addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  form.requestSubmit();
});
results.addEventListener("pointerover", enter);
results.addEventListener("pointerout", leave);
results.addEventListener("focusin", enter);
results.addEventListener("focusout", leave);
results.addEventListener("keydown", move);
addEventListener("scroll", hideTip, { passive: true });

measure();
listModels().catch((error) => form.before(errorBox(error)));
