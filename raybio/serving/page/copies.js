// An answer as text that can be pasted elsewhere.

/** Return the API's answer as it came. */
export function asJson({ body }) {
  return JSON.stringify(body, null, 2);
}

/** Return what the PubTator writer makes of it: all is title, tabs and line breaks blanks, no concept "-". */
export function asPubTator({ text, mentions, body }) {
  const id = body.documents[0].id;
  const flat = (piece) => piece.replace(/[\t\r\n]/g, " ");
  const lines = mentions.map((m) => [id, m.start, m.end, flat(m.text), m.label, "-"].join("\t"));
  return [`${id}|t|${flat(text)}`, `${id}|a|`, ...lines, "", ""].join("\n");
}

/** Put `text` on the clipboard. */
export async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  // Browsers keep the clipboard from a page that came over plain HTTP from another machine; not from this.
  const focused = document.activeElement;
  const field = document.createElement("textarea");
  field.value = text;
  document.body.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
  focused.focus();
}
