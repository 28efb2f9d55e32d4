// The page: its controls, and what happens when they are used.

import { fetchModel, showModel } from "./card.js";
import { LatencyMeter, LevelMeter } from "./meters.js";
import { Recogniser } from "./recogniser.js";
import { openMicrophone, playFile, readFile } from "./sound.js";
import { Transcript } from "./transcript.js";

const $ = (id) => document.getElementById(id);
const transcript = new Transcript($("transcript"));
const level = new LevelMeter($("level"), $("level-value"));
const latency = new LatencyMeter($("latency"), $("latency-value"));

let source = null; // what is being heard: {rateHz, stop}
let stream = null; // the recogniser that hears it
let early = []; // blocks that came before the server was ready: first words are not clipped
let heardS = 0; // of earlier streams, so that times go on

function say(text, isWrong = false) {
  $("status").textContent = text;
  $("status").classList.toggle("is-wrong", isWrong);
}

function showState(isListening, isBusy = isListening) {
  $("microphone").classList.toggle("is-busy", isListening);
  $("microphone-label").textContent = isListening ? "Stop" : "Start microphone";
  $("microphone").disabled = isBusy && !isListening;
  $("open").disabled = isBusy;
  if (!isListening) level.rest();
}

function showSaves() {
  for (const id of ["save-text", "save-srt", "clear"]) $(id).disabled = !transcript.hasText;
}

function chunkMs() {
  const value = $("chunk").value;
  return /^\d+$/.test(value) ? Number(value) : null;
}

/** Opens a stream; its events go to the transcript, at the time where the stream begins. */
function newStream(rateHz, hasLatency) {
  const moved = (part) => {
    return { ...part, startS: part.startS + opened.offsetS, endS: part.endS + opened.offsetS };
  };
  const opened = new Recogniser({ rateHz, chunkMs: chunkMs() }, (event) => {
    if (hasLatency) latency.accept(opened.sinceMs(event.endS));
    const shown = { ...moved(event), words: event.words.map(moved) };
    if (event.isFinal) transcript.final(shown);
    else transcript.partial(shown);
    showSaves();
  });
  return opened;
}

function hear(block) {
  level.accept(block);
  if (stream) stream.send(block);
  else early.push(block);
}

/** The sound goes to this stream from now on; resolves when the one before has said its last. */
async function goOnWith(next) {
  const ending = stream;
  if (ending) heardS += ending.numSamples / ending.rateHz;
  stream = next;
  if (next) {
    next.offsetS = heardS;
    for (const block of early) next.send(block);
  }
  early = [];
  await ending?.finish();
}

/** Starts what gives blocks as they sound: the microphone, or a file played aloud. */
async function start(open, text) {
  say("Opening…");
  showState(false, true);
  source = await open(hear);
  const opened = newStream(source.rateHz, true);
  await opened.ready;
  goOnWith(opened);
  watch(opened);
  source.start?.();
  showState(true);
  say(text);
}

/** A stream that breaks off ends the listening, with its reason. */
function watch(opened) {
  opened.ended.catch((error) => {
    if (opened === stream) stop().catch(() => {}).finally(() => fail(error));
  });
}

async function stop() {
  const stopped = source;
  source = null;
  await stopped?.stop();
  showState(false);
  await goOnWith(null);
  transcript.drop();
  say("Ready");
}

function fail(error) {
  source?.stop();
  stream?.close();
  source = stream = null;
  showState(false);
  transcript.drop();
  say(explain(error), true);
}

function explain(error) {
  if (error.name === "NotAllowedError") return "The browser was not allowed to use the microphone";
  if (error.name === "NotFoundError") return "This computer has no microphone";
  return error.message;
}

/** Recognises a file as fast as the server takes it. */
async function recognise(file) {
  showState(false, true);
  say(`Reading ${file.name}…`);
  const { rateHz, durationS, blocks } = await readFile(file);
  const begunAt = performance.now();
  const opened = newStream(rateHz, false);
  await opened.ready;
  goOnWith(opened);
  for (const block of blocks) {
    opened.send(block);
    await opened.room();
  }
  await goOnWith(null);
  const seconds = (performance.now() - begunAt) / 1000;
  showState(false);
  say(`${file.name}: ${durationS.toFixed(1)} s in ${seconds.toFixed(1)} s`);
}

async function takeFile(file) {
  if ($("aloud").checked) {
    await start((onBlock) => playFile(file, onBlock, () => stop().catch(fail)), `Playing ${file.name}`);
  } else {
    await recognise(file);
  }
}

/** Another chunk length while the microphone is open: the next stream takes over. */
async function changeChunk() {
  if (!source) return;
  const next = newStream(source.rateHz, true);
  await next.ready;
  watch(next);
  await goOnWith(next);
}

function save(text, name, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

function showChunks(model) {
  const choices = model.chunk_choices_ms.map((ms) => {
    const isDefault = ms === model.chunk_ms;
    return new Option(isDefault ? `${ms} ms (default)` : `${ms} ms`, ms, isDefault, isDefault);
  });
  $("chunk").replaceChildren(...choices);
}

$("microphone").addEventListener("click", () => {
  (source ? stop() : start(openMicrophone, "Listening")).catch(fail);
});
$("open").addEventListener("click", () => $("file").click());
$("file").addEventListener("change", () => {
  const [file] = $("file").files;
  $("file").value = "";
  if (file) takeFile(file).catch(fail);
});
$("chunk").addEventListener("change", () => changeChunk().catch(fail));
$("save-text").addEventListener("click", () => save(transcript.text(), "transcript.txt", "text/plain"));
$("save-srt").addEventListener("click", () => save(transcript.srt(), "transcript.srt", "application/x-subrip"));
$("clear").addEventListener("click", () => {
  transcript.clear();
  if (!stream) heardS = 0; // what comes next is a transcript of its own
  showSaves();
  $("transcript").focus();
});

try {
  const model = await fetchModel();
  showModel(model, document);
  showChunks(model);
  say("Ready");
} catch (error) {
  showState(false, true); // nothing would be recognised either
  say(error.message, true);
}
