// Where samples come from: the microphone, or a file, aloud or as fast as it can be taken.

const HIGHEST_RATE_HZ = 48000; // of the server
const FILE_RATE_HZ = 16000;
const FILE_BLOCK_SAMPLES = 1600;

/**
 * The microphone, until stop() is called. It asks the browser for the plain sound: its noise
 * suppression and echo cancellation are made for ears, and they bend what a recogniser hears.
 *
 * @param {(block: Int16Array) => void} onBlock one channel
 * @returns {Promise<{rateHz: number, stop: () => Promise<void>}>}
 */
export async function openMicrophone(onBlock) {
  if (!navigator.mediaDevices) {
    throw new Error("Browsers open the microphone only for localhost or https; see docs/server.md");
  }
  const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: true };
  const stream = await navigator.mediaDevices.getUserMedia({ audio });
  const context = newContext();
  const end = await capture(context, context.createMediaStreamSource(stream), onBlock);
  return {
    rateHz: context.sampleRate,
    stop: async () => {
      for (const track of stream.getTracks()) track.stop();
      await end();
      await context.close();
    },
  };
}

/**
 * A file played aloud, as if it were the microphone.
 *
 * @param {File} file
 * @param {(block: Int16Array) => void} onBlock
 * @param {() => void} onEnd it has been played
 */
export async function playFile(file, onBlock, onEnd) {
  const context = newContext();
  const source = context.createBufferSource();
  source.buffer = await decode(context, file);
  source.connect(context.destination);
  const end = await capture(context, source, onBlock);
  source.onended = onEnd;
  return {
    rateHz: context.sampleRate,
    start: () => source.start(),
    stop: async () => {
      source.onended = null;
      source.stop();
      await end();
      await context.close();
    },
  };
}

/**
 * The samples of a file as blocks of one channel.
 *
 * @param {File} file
 * @returns {Promise<{rateHz: number, durationS: number, blocks: Generator<Int16Array>}>}
 */
export async function readFile(file) {
  const context = new OfflineAudioContext(1, 1, FILE_RATE_HZ);
  const buffer = await decode(context, file);
  return { rateHz: buffer.sampleRate, durationS: buffer.duration, blocks: blocksOf(buffer) };
}

function newContext() {
  const context = new AudioContext();
  if (context.sampleRate <= HIGHEST_RATE_HZ) return context;
  context.close();
  return new AudioContext({ sampleRate: HIGHEST_RATE_HZ });
}

async function decode(context, file) {
  try {
    return await context.decodeAudioData(await file.arrayBuffer());
  } catch {
    throw new Error(`${file.name} is not audio that this browser can read`);
  }
}

async function capture(context, source, onBlock) {
  await context.audioWorklet.addModule(new URL("capture.js", import.meta.url));
  const options = { channelCount: 1, channelCountMode: "explicit", numberOfOutputs: 0 };
  const node = new AudioWorkletNode(context, "capture", options);
  const ended = new Promise((resolve) => {
    node.port.onmessage = ({ data }) => (data === "end" ? resolve() : onBlock(data));
  });
  source.connect(node);
  await context.resume();
  return async () => {
    node.port.postMessage("end");
    await ended;
  };
}

function* blocksOf(buffer) {
  const channels = [];
  for (let i = 0; i < buffer.numberOfChannels; i++) channels.push(buffer.getChannelData(i));
  for (let start = 0; start < buffer.length; start += FILE_BLOCK_SAMPLES) {
    const block = new Int16Array(Math.min(FILE_BLOCK_SAMPLES, buffer.length - start));
    for (let i = 0; i < block.length; i++) {
      let sum = 0;
      for (const channel of channels) sum += channel[start + i];
      const sample = Math.round((sum / channels.length) * 32768);
      block[i] = Math.max(-32768, Math.min(32767, sample));
    }
    yield block;
  }
}
