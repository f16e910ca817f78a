// Names of branches, coordinators and participants, and texts that go into tables and errors.

export const nameBytesMax = 200;

// C0, DEL, and C1, which commands terminals as well; and what stands for bytes that were no UTF-8, or for half of a
// surrogate pair, which would become it.
// eslint-disable-next-line no-control-regex
const control = /[\u0000-\u001f\u007f-\u009f]/;
const halfPair = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

/** At most nameBytesMax bytes of UTF-8 without control characters; the empty text is one. */
export function isNameOrEmpty(text: string): boolean {
  return Buffer.byteLength(text) <= nameBytesMax && !control.test(text) && !halfPair.test(text);
}
export function isName(text: string): boolean {
  return text.length > 0 && isNameOrEmpty(text);
}

/** The text as it may stand in a table and an error: control characters become '?', and it is cut, not inside a character. */
export function tidyText(text: string, bytesMax: number): string {
  let out = '';
  let size = 0;
  for (const character of text) {
    const piece = control.test(character) || halfPair.test(character) ? '?' : character;
    size += Buffer.byteLength(piece);
    if (size > bytesMax) break;
    out += piece;
  }
  return out;
}
