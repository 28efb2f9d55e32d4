// Level and latency, as bars for eyes and as values for screen readers.

const FLOOR_DB = -60;
const HIGH_DB = -3; // near clipping
const PEAK_FALL_DB = 0.5; // per block
const LATENCIES_KEPT = 100;
const WORST_SHOWN_MS = 500;
const SPOKEN_EVERY_MS = 1000; // how often assistive technology gets a new value

export class LevelMeter {
  constructor(meter, value) {
    this.meter = meter;
    this.value = value;
    this.peakDb = FLOOR_DB;
    this.spokenAt = 0;
  }

  /** @param {Int16Array} block */
  accept(block) {
    let square = 0;
    let highest = 0;
    for (const sample of block) {
      square += sample * sample;
      highest = Math.max(highest, Math.abs(sample));
    }
    const levelDb = toDb(Math.sqrt(square / Math.max(1, block.length)));
    this.peakDb = Math.max(toDb(highest), this.peakDb - PEAK_FALL_DB);
    const style = this.meter.style;
    style.setProperty("--share", share(levelDb));
    style.setProperty("--peak", share(this.peakDb));
    style.setProperty("--has-peak", 1);
    this.meter.classList.toggle("is-high", this.peakDb > HIGH_DB);
    const now = performance.now();
    if (now - this.spokenAt > SPOKEN_EVERY_MS) {
      this.spokenAt = now;
      const text = levelDb <= FLOOR_DB ? "silent" : `${Math.round(levelDb)} dB`;
      this.value.textContent = text;
      this.meter.setAttribute("aria-valuenow", Math.round(levelDb));
      this.meter.setAttribute("aria-valuetext", text);
    }
  }

  rest() {
    this.peakDb = FLOOR_DB;
    for (const name of ["--share", "--peak", "--has-peak"]) this.meter.style.setProperty(name, 0);
    this.meter.setAttribute("aria-valuenow", FLOOR_DB);
    this.meter.setAttribute("aria-valuetext", "silent");
    this.value.textContent = "–";
  }
}

export class LatencyMeter {
  constructor(meter, value) {
    this.meter = meter;
    this.value = value;
    this.all = [];
  }

  /** @param {number} ms from the last sound of a chunk until its words came */
  accept(ms) {
    this.all.push(ms);
    if (this.all.length > LATENCIES_KEPT) this.all.shift();
    const sorted = [...this.all].sort((a, b) => a - b);
    const middle = Math.round(sorted[Math.floor(sorted.length / 2)]);
    const slow = Math.round(sorted[Math.floor(sorted.length * 0.95)]);
    this.value.textContent = `${middle} ms`;
    this.value.title = `half within ${middle} ms, 95 % within ${slow} ms`;
    this.meter.style.setProperty("--share", Math.min(1, middle / WORST_SHOWN_MS));
    this.meter.setAttribute("aria-valuenow", Math.min(middle, WORST_SHOWN_MS));
    this.meter.setAttribute("aria-valuetext", this.value.title);
  }
}

function toDb(amplitude) {
  return Math.max(FLOOR_DB, 20 * Math.log10(Math.max(amplitude, 1) / 32768));
}

function share(db) {
  return 1 - db / FLOOR_DB;
}
