// What has been said: settled lines, and one that may still change, in the page and as files.

import { asSrt } from "./subtitles.js";

const UNSURE = 0.5; // confidence below which a word is marked

export class Transcript {
  /** @param {HTMLElement} list the live region that holds the lines */
  constructor(list) {
    this.list = list;
    this.empty = list.firstElementChild;
    this.finals = [];
    this.open = null; // the line that may still change
  }

  get hasText() {
    return this.finals.length > 0;
  }

  /** @param {{text: string, startS: number}} event */
  partial({ text, startS }) {
    if (!this.open) {
      if (!text) return;
      this.open = line(startS);
      this.open.classList.add("is-partial");
      this.open.setAttribute("aria-live", "off"); // a screen reader hears settled lines only
      this.show(this.open);
    }
    rewrite(this.open.querySelector(".words"), text.split(" ").filter(Boolean), "is-new");
    this.follow();
  }

  /** The line settles where it stands.
   * @param {{text: string, startS: number, endS: number, words: object[]}} event */
  final(event) {
    const settled = line(event.words[0]?.startS ?? event.startS);
    const box = settled.querySelector(".words");
    if (this.open) box.replaceChildren(...this.open.querySelector(".words").childNodes);
    const texts = event.words.length ? event.words.map((word) => word.text) : event.text.split(" ");
    rewrite(box, texts, this.open ? "is-changed" : "is-new");
    event.words.forEach((word, i) => describe(box.children[i], word));
    this.drop();
    if (event.text) {
      this.finals.push(event);
      this.show(settled); // a new element, so that screen readers say it
    }
    this.follow();
  }

  /** The line that may still change goes: its stream has ended. */
  drop() {
    this.open?.remove();
    this.open = null;
    if (!this.finals.length) this.list.replaceChildren(this.empty);
  }

  clear() {
    this.finals = [];
    this.list.replaceChildren(...(this.open ? [this.open] : [this.empty]));
  }

  text() {
    return this.finals.map(({ text }) => text).join("\n") + "\n";
  }

  srt() {
    return asSrt(this.finals);
  }

  show(element) {
    this.empty.remove();
    this.list.append(element);
  }

  follow() {
    this.list.scrollTop = this.list.scrollHeight;
  }
}

function line(startS) {
  const element = document.createElement("p");
  element.className = "said";
  const time = document.createElement("time");
  const seconds = Math.floor(startS);
  time.dateTime = `PT${seconds}S`;
  time.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  const words = document.createElement("span");
  words.className = "words";
  element.append(time, words);
  return element;
}

/** Changes only the words that differ, so that the others stand still. */
function rewrite(box, texts, marker) {
  for (let i = 0; i < texts.length; i++) {
    let word = box.children[i];
    const shown = `${texts[i]} `;
    if (word?.textContent === shown) continue;
    const fresh = document.createElement("span");
    fresh.className = `word ${marker}`;
    fresh.textContent = shown;
    if (word) word.replaceWith(fresh);
    else box.append(fresh);
  }
  while (box.children.length > texts.length) box.lastElementChild.remove();
}

function describe(element, { confidence, startS }) {
  element.title = `${startS.toFixed(2)} s, confidence ${Math.round(confidence * 100)} %`;
  element.classList.toggle("is-unsure", confidence < UNSURE);
}
