// Subtitles as SubRip: words in cues that can be read, as listen/subtitles.py makes them.

const LINE_CHARACTERS = 42; // of a line, two lines a cue
const LONGEST_S = 7; // of a cue that can be broken
const SHORTEST_S = 0.8; // shown, unless the next cue comes before

/** @param {{text: string, startS: number, endS: number, words: object[]}[]} finals */
export function asSrt(finals) {
  const cues = finals.flatMap((final) => broken(final.words.length ? final.words : [final]));
  const shown = cues.map((words, i) => {
    const { startS } = words[0];
    const nextS = Math.max(startS, cues[i + 1]?.[0].startS ?? Infinity);
    const endS = Math.min(Math.max(words.at(-1).endS, startS + SHORTEST_S), nextS);
    return [i + 1, `${clock(startS)} --> ${clock(endS)}`, ...lines(words), ""].join("\n");
  });
  return shown.join("\n");
}

/** Words in cues that are short enough: halved at the longest pause about the middle. */
function broken(words) {
  const isShort = words.at(-1).endS - words[0].startS <= LONGEST_S;
  if (words.length === 1 || (isShort && longest(lines(words)) <= LINE_CHARACTERS)) return [words];
  const quarter = Math.floor(words.length / 4);
  const pause = (i) => words[i].startS - words[i - 1].endS;
  let place = Math.max(1, quarter);
  for (let i = place + 1; i < words.length - quarter; i++) if (pause(i) > pause(place)) place = i;
  return [...broken(words.slice(0, place)), ...broken(words.slice(place))];
}

/** One line, or two that are as equal as can be. */
function lines(words) {
  const texts = words.map(({ text }) => text);
  let best = [texts.join(" ")];
  if (best[0].length <= LINE_CHARACTERS) return best;
  for (let i = 1; i < texts.length; i++) {
    const halves = [texts.slice(0, i).join(" "), texts.slice(i).join(" ")];
    if (longest(halves) < longest(best)) best = halves;
  }
  return best;
}

const longest = (texts) => Math.max(...texts.map(({ length }) => length));

/** 01:02:03,450 */
function clock(seconds) {
  const ms = Math.round(seconds * 1000);
  const two = (number) => String(Math.floor(number)).padStart(2, "0");
  const whole = `${two(ms / 3600000)}:${two((ms / 60000) % 60)}:${two((ms / 1000) % 60)}`;
  return `${whole},${String(ms % 1000).padStart(3, "0")}`;
}
