// How two models' answers to one text differ.

/** What a group's verdict is called: a sign for the text, and words for everywhere else. */
export const VERDICTS = {
  same: { sign: "", words: () => "the same" },
  label: { sign: "≠", words: () => "other label" },
  boundaries: { sign: "↔", words: () => "other boundaries" },
  both: { sign: "≠↔", words: () => "other label and boundaries" },
  first: { sign: "+", words: (names) => `only in ${names[0]}` },
  second: { sign: "+", words: (names) => `only in ${names[1]}` },
};

/**
 * Group the mentions that overlap, in order of position: [{sides: [mentions of each answer], verdict}].
 * One answer's mentions never overlap, so a mention that both give is a group of its own.
 * The verdict is "" unless there are two answers to compare.
 */
export function groupsOf(answers) {
  const all = answers.flatMap(({ mentions = [] }, side) => mentions.map((mention) => ({ side, mention })));
  all.sort((a, b) => a.mention.start - b.mention.start);
  const groups = [];
  let end = 0;
  for (const { side, mention } of all) {
    if (!groups.length || mention.start >= end) groups.push({ sides: answers.map(() => []) });
    groups.at(-1).sides[side].push(mention);
    end = Math.max(end, mention.end);
  }
  const compared = answers.length === 2 && answers.every((answer) => answer.mentions);
  return groups.map(({ sides }) => ({ sides, verdict: compared ? verdictOf(sides) : "" }));
}

function verdictOf([a, b]) {
  if (!b.length) return "first";
  if (!a.length) return "second";
  const sameLabel = new Set([...a, ...b].map((mention) => mention.label)).size === 1;
  const sameSpan = a.length === 1 && b.length === 1 && a[0].start === b[0].start && a[0].end === b[0].end;
  if (sameSpan) return sameLabel ? "same" : "label";
  return sameLabel ? "boundaries" : "both";
}
