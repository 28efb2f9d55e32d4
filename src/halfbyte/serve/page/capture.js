// Runs on the browser's audio thread: hands on what it hears as blocks of 16-bit samples.

const BLOCK_MS = 40;

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.block = new Int16Array(Math.round((sampleRate * BLOCK_MS) / 1000));
    this.numSamples = 0;
    this.port.onmessage = () => {
      this.post(); // what is left of the last block
      this.port.postMessage("end");
    };
  }

  process([channels]) {
    const mono = channels[0];
    if (mono) {
      for (const sample of mono) {
        this.block[this.numSamples++] = Math.max(-32768, Math.min(32767, Math.round(sample * 32768)));
        if (this.numSamples === this.block.length) this.post();
      }
    }
    return true;
  }

  post() {
    this.port.postMessage(this.block.slice(0, this.numSamples));
    this.numSamples = 0;
  }
}

registerProcessor("capture", Capture);
