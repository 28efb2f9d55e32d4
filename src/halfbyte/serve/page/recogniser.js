// One stream of the native protocol, version 1: docs/protocol.md.

import { token } from "./token.js";

const VERSION = 1;
const MOST_UNSENT_BYTES = 256 * 1024; // then a file waits for the network
const LOOK_AGAIN_MS = 20;

export class Recogniser {
  /**
   * @param {{rateHz: number, chunkMs: number | null}} settings of the stream
   * @param {(event: {text: string, isFinal: boolean, startS: number, endS: number,
   *   words: {text: string, startS: number, endS: number, confidence: number}[]}) => void} onEvent
   */
  constructor({ rateHz, chunkMs }, onEvent) {
    this.rateHz = rateHz;
    this.onEvent = onEvent;
    this.numSamples = 0;
    this.sent = []; // [samples so far, when they were sent] of what has not been heard yet
    this.refusal = null;
    this.socket = new WebSocket(address());
    this.ready = new Promise((resolve, reject) => {
      this.isReady = resolve;
      this.isRefused = reject;
    });
    this.ended = new Promise((resolve, reject) => {
      this.socket.onclose = ({ code }) => {
        const error = new Error(this.refusal ?? reason(code));
        this.isRefused(error);
        if (code === 1000 && !this.refusal) resolve();
        else reject(error);
      };
    });
    this.ended.catch(() => {}); // whoever waits for it hears of it
    this.ready.catch(() => {});
    this.socket.onopen = () => this.say({ type: "start", version: VERSION, sample_rate_hz: rateHz, encoding: "s16le", ...(chunkMs === null ? {} : { chunk_ms: chunkMs }) });
    this.socket.onmessage = ({ data }) => this.take(JSON.parse(data));
  }

  /** @param {Int16Array} block */
  send(block) {
    if (this.socket.readyState !== WebSocket.OPEN || !block.length) return;
    this.socket.send(block);
    this.numSamples += block.length;
    this.sent.push([this.numSamples, performance.now()]);
  }

  /** Waits while what was sent has not left the browser. */
  async room() {
    while (this.socket.readyState === WebSocket.OPEN && this.socket.bufferedAmount > MOST_UNSENT_BYTES) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
    }
  }

  /** No more sound follows; resolves when the last words have come. */
  finish() {
    if (this.socket.readyState === WebSocket.OPEN) this.say({ type: "finish" });
    return this.ended;
  }

  close() {
    this.socket.close();
  }

  /** Milliseconds since the sound at a place of the stream was sent. */
  sinceMs(endS) {
    const heard = Math.min(endS * this.rateHz, this.numSamples);
    while (this.sent.length > 1 && this.sent[0][0] < heard) this.sent.shift();
    return this.sent.length ? performance.now() - this.sent[0][1] : 0;
  }

  say(message) {
    this.socket.send(JSON.stringify(message));
  }

  take(message) {
    if (message.type === "ready") this.isReady();
    if (message.type === "error") this.refusal = message.message;
    if (message.type !== "partial" && message.type !== "final") return;
    this.onEvent({
      text: message.text,
      isFinal: message.type === "final",
      startS: message.start_s,
      endS: message.end_s,
      words: (message.words ?? []).map((word) => ({
        text: word.text,
        startS: word.start_s,
        endS: word.end_s,
        confidence: word.confidence,
      })),
    });
  }
}

/** Beside this page. */
function address() {
  const url = new URL("v1/stream", document.baseURI);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  if (token) url.searchParams.set("token", token);
  return url;
}

function reason(code) {
  if (code === 1001) return "The server is shutting down";
  return `The connection to the server was lost (${code})`;
}
