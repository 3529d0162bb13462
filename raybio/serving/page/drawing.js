// Answers -> what is seen of them.
//
// Whatever comes from outside (texts, model names, labels, messages) reaches the document as text
// nodes and attribute values only: `element` is the one maker of nodes, and it reads no markup.
// Offsets count Unicode code points, as everywhere in raybio; JavaScript's strings count UTF-16
// units, so texts are cut as arrays of code points.

import { asJson, asPubTator, copy } from "./copies.js";
import { VERDICTS } from "./differences.js";

const COLOURS = 6; // as many as page.css has; labels beyond share them

/** Make an element; strings among the children become text, never markup. */
export function element(tag, properties = {}, ...children) {
  const { dataset = {}, ...rest } = properties;
  const made = Object.assign(document.createElement(tag), rest);
  Object.assign(made.dataset, dataset);
  made.append(...children);
  return made;
}

/** Draw what went wrong and what to do. */
export function errorBox({ message, remedy = "" }) {
  return element("p", { className: "error", role: "alert" }, element("strong", {}, message), remedy);
}

/** Write a number of things: "1 mention", "2,000 mentions". */
export function counted(count, noun) {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

/** Write seconds to the millisecond. */
export function inSeconds(seconds) {
  return `${seconds.toFixed(3)} s`;
}

/** Draws answers to one text. Each of `labels` has its colour; `say` tells the user of what was done. */
export class Drawing {
  constructor(labels, answers, groups, say) {
    this.labels = labels;
    this.answers = answers;
    this.groups = groups;
    this.say = say;
    this.names = answers.map((answer) => answer.model);
  }

  /** Draw how often the answers agree, and how often they differ in which way: a legend too. */
  differences() {
    const items = Object.entries(VERDICTS).map(([verdict, { sign, words }]) => {
      const count = this.groups.filter((group) => group.verdict === verdict).length;
      const figure = element("b", { className: verdict }, `${count} ${sign}`.trim());
      return element("li", { hidden: count === 0 }, figure, words(this.names));
    });
    return element("ul", { ariaLabel: "Differences" }, ...items);
  }

  /** Draw one model's answer: what it took, the text with its mentions, or what went wrong. */
  pane(answer, side) {
    const head = element("header", {}, element("h2", {}, answer.model));
    const made = element("article", { className: "pane", ariaLabel: answer.model }, head);
    if (answer.error) {
      made.append(errorBox(answer.error));
    } else {
      head.append(facts(answer));
      made.append(this.markedText(answer, side), this.copies(answer));
    }
    return made;
  }

  markedText(answer, side) {
    const points = Array.from(answer.text);
    const made = element("p", { className: "text", role: "group", ariaLabel: `Text as ${answer.model} marks it` });
    let at = 0;
    this.groups.forEach((group, index) => {
      for (const mention of group.sides[side]) {
        const covered = points.slice(mention.start, mention.end).join("");
        made.append(points.slice(at, mention.start).join(""), this.mark(mention, covered, side, index));
        at = mention.end;
      }
    });
    made.append(points.slice(at).join(""));
    made.querySelector("mark")?.setAttribute("tabindex", "0");
    return made;
  }

  mark(mention, covered, side, index) {
    const { verdict } = this.groups[index];
    const properties = {
      className: `${this.colour(mention.label)} ${verdict}`,
      tabIndex: -1,
      ariaDescription: this.description(mention, side, index),
      dataset: { group: index, note: noteOf(mention), offsets: offsetsOf(mention), sign: VERDICTS[verdict]?.sign ?? "" },
    };
    return element("mark", properties, covered);
  }

  description(mention, side, index) {
    const { sides, verdict } = this.groups[index];
    const lines = [`${mention.label} · score ${mention.score.toFixed(3)} · characters ${offsetsOf(mention)}`];
    if (verdict) lines.push(VERDICTS[verdict].words(this.names));
    if (verdict && verdict !== "same") {
      for (const other of sides[1 - side]) {
        lines.push(`${this.names[1 - side]}: “${other.text}” · ${other.label} · ${offsetsOf(other)}`);
      }
    }
    return lines.join("\n");
  }

  copies(answer) {
    const button = (format, written) => {
      const made = element("button", { type: "button" }, `Copy ${format}`);
      made.addEventListener("click", () =>
        copy(written(answer)).then(
          () => this.say(`Copied ${answer.model}’s answer as ${format}.`),
          () => this.say("The browser does not let the page copy."),
        ),
      );
      return made;
    };
    return element("footer", {}, button("JSON", asJson), button("PubTator", asPubTator));
  }

  /** Draw the list of mentions: one model's, or two models' abreast. */
  table() {
    const compared = this.names.length === 2;
    const rows = this.groups.map((group, index) => {
      const cells = compared ? this.abreast(group) : this.alone(group);
      return element("tr", { className: group.verdict, dataset: { group: index } }, ...cells);
    });
    const columns = compared ? [...this.names, "Difference"] : ["Mention", "Type", "Score", "Offsets"];
    const heads = columns.map((column) => element("th", { scope: "col" }, column));
    const head = element("thead", {}, element("tr", {}, ...heads));
    return element("table", { className: compared ? "compared" : "" }, head, element("tbody", {}, ...rows));
  }

  alone({ sides: [[mention]] }) {
    return [
      element("td", {}, mention.text),
      element("td", {}, this.labelled(mention, mention.label)),
      element("td", { className: "figure" }, mention.score.toFixed(3)),
      element("td", { className: "figure" }, offsetsOf(mention)),
    ];
  }

  abreast({ sides, verdict }) {
    const described = (mention) =>
      element("p", {}, `${mention.text} `, this.labelled(mention, noteOf(mention)), " ", quiet(offsetsOf(mention)));
    const cells = sides.map((mentions) => element("td", {}, ...(mentions.length ? mentions.map(described) : ["–"])));
    return [...cells, element("td", { className: "verdict" }, VERDICTS[verdict]?.words(this.names) ?? "")];
  }

  labelled({ label }, words) {
    return element("span", { className: `label-name ${this.colour(label)}` }, words);
  }

  colour(label) {
    return `c${Math.max(this.labels.indexOf(label), 0) % COLOURS}`;
  }
}

function facts({ body, mentions, seconds }) {
  const items = Object.entries({
    mentions: mentions.length,
    "round trip": inSeconds(seconds),
    replica: inSeconds(body.seconds.replica),
    model: inSeconds(body.seconds.model),
    passes: body.passes,
    "tokens fed": body.tokens_fed,
    "malformed words": body.malformed || null,
    retries: body.retries || null,
  }).filter(([, value]) => value !== null);
  const drawn = items.map(([name, value]) =>
    element("div", {}, element("dt", {}, name), element("dd", {}, value.toLocaleString("en"))),
  );
  return element("dl", { className: "facts" }, ...drawn);
}

function quiet(words) {
  return element("span", { className: "quiet" }, words);
}

function noteOf({ label, score }) {
  return `${label} ${score.toFixed(2)}`;
}

function offsetsOf({ start, end }) {
  return `${start}–${end}`;
}
