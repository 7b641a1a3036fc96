// @ts-check
/**
 * Ring buffer of one side's samples: typed arrays, allocated once; a new sample overwrites the oldest. Pure.
 * @module measure/ring
 */

/** Samples kept: ten minutes at 200 messages a second are 120,000. */
const CAPACITY = 131_072;

/** Flags, which may combine: why a sample is left out of the figures. */
export const HIDDEN = 1;
export const BROKEN = 2;
export const UNTIMED = 4;
export const CAUGHT_UP = 8;

export class Ring {
  /** Samples in the ring. */
  length = 0;
  /** Samples ever added. */
  total = 0;
  #capacity;

  /** @param {number} [capacity] */
  constructor(capacity = CAPACITY) {
    this.#capacity = capacity;
    /** performance.now() at each arrival */
    this.at = new Float64Array(capacity);
    /** milliseconds */
    this.latency = new Float32Array(capacity);
    /** plus or minus, milliseconds */
    this.error = new Float32Array(capacity);
    /** bytes on the wire */
    this.bytes = new Uint32Array(capacity);
    /** the producer's number */
    this.producer = new Uint8Array(capacity);
    /** HIDDEN, BROKEN, UNTIMED, CAUGHT_UP; 0 for a sample that counts */
    this.flags = new Uint8Array(capacity);
  }

  /**
   * Add a sample.
   * @param {number} at performance.now(), not before the previous sample's
   * @param {number} latency milliseconds; NaN while unknown
   * @param {number} error milliseconds; NaN while unknown
   * @param {number} bytes on the wire
   * @param {number} producer its number
   * @param {number} flags
   */
  push(at, latency, error, bytes, producer, flags) {
    const slot = this.total % this.#capacity;
    this.at[slot] = at;
    this.latency[slot] = latency;
    this.error[slot] = error;
    this.bytes[slot] = bytes;
    this.producer[slot] = producer;
    this.flags[slot] = flags;
    this.total += 1;
    this.length = Math.min(this.length + 1, this.#capacity);
  }

  /** The oldest sample's number, of all that were ever added. */
  get first() {
    return this.total - this.length;
  }

  /**
   * Return a sample's place in the arrays.
   * @param {number} index 0 is the oldest
   */
  slot(index) {
    return (this.first + index) % this.#capacity;
  }

  /**
   * Find the first sample that is not older than a moment.
   * @param {number} at performance.now()
   * @returns {number} its index; the length if there is none
   */
  since(at) {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.at[this.slot(middle)] < at) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /**
   * Return the largest latency and the largest error of the samples that count. Their order does not matter, so this is a
   * plain loop: a full ring takes 1 ms.
   * @returns {{ latency: number, error: number }} milliseconds; -Infinity if none counts
   */
  largest() {
    const { length, flags } = this;
    const largest = { latency: -Infinity, error: -Infinity };
    for (let slot = 0; slot < length; slot += 1) {
      if (flags[slot] !== 0) continue;
      if (this.latency[slot] > largest.latency) largest.latency = this.latency[slot];
      if (this.error[slot] > largest.error) largest.error = this.error[slot];
    }
    return largest;
  }

  /**
   * Remove all samples, to add those of an earlier ring.
   * @param {boolean} hadMore whether that one had lost older samples
   */
  restart(hadMore) {
    this.length = 0;
    this.total = hadMore ? this.#capacity : 0;
  }

  /** Remove all samples. */
  clear() {
    this.length = 0;
    this.total = 0;
  }
}
