"use strict";
// Tokens as a reader can see them. Whatever a token holds, it is shown as text.

const MARKS = { " ": "␣", "\n": "⏎", "\t": "⇥", "\r": "␍", "\x7f": "␡" };

function codePoint(character) {
  return "U+" + character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
}

/** One character, made visible if it is not: controls, zero-width and direction marks, halves. */
function visibleCharacter(character) {
  if (MARKS[character]) return MARKS[character];
  const code = character.codePointAt(0);
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  if (/[\p{C}\p{Zl}\p{Zp}]/u.test(character)) return `⟨${codePoint(character)}⟩`;
  if (/\p{M}/u.test(character)) return "◌" + character;
  return character;
}

/** A token with everything in it visible, white space too. Marks join the letter before them. */
function visible(token) {
  if (!token) return "∅";
  return [...token]
    .map((c, k) => (k > 0 && /\p{M}/u.test(c) ? c : visibleCharacter(c)))
    .join("");
}

/** The same, short enough for an axis. */
function short(token, longest = 12) {
  const characters = [...visible(token)];
  return characters.length <= longest ? characters.join("") : characters.slice(0, longest - 1).join("") + "…";
}

/** For plotly's labels, which take "<b>" for markup. */
function label(token) {
  return short(token).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** Puts a token into the running text: spaces as they are, line ends marked and kept. */
function writeToken(span, token) {
  for (const character of token) {
    if (character === " ") {
      span.append(" ");
    } else if (character === "\n" || character === "\t") {
      const mark = document.createElement("i");
      mark.textContent = MARKS[character];
      span.append(mark, character);
    } else {
      span.append(span.textContent && /\p{M}/u.test(character) ? character : visibleCharacter(character));
    }
  }
}
