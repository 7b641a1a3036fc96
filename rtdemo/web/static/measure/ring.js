// @ts-check
/**
 * The samples of one side: typed arrays that are allocated once, the oldest sample written over. Pure.
 * @module measure/ring
 */

/** Ten minutes at 200 messages a second are 120,000. */
export const CAPACITY = 131_072;

/** Why a sample is left out of the figures; a sample may have several. */
export const HIDDEN = 1;
export const BROKEN = 2;
export const UNTIMED = 4;

export class Ring {
  /** How many samples there are. */
  length = 0;
  /** How many were ever added. */
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
    /** number of the producer's name */
    this.producer = new Uint8Array(capacity);
    /** HIDDEN, BROKEN, UNTIMED; 0 where the sample counts */
    this.flags = new Uint8Array(capacity);
  }

  /**
   * Add a sample.
   * @param {number} at not before the one added last
   * @param {number} latency
   * @param {number} error
   * @param {number} bytes
   * @param {number} producer
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

  /**
   * Tell where in the arrays a sample stands.
   * @param {number} index 0 is the oldest
   */
  slot(index) {
    return (this.total - this.length + index) % this.#capacity;
  }

  /**
   * Find the first sample that is not older than a moment.
   * @param {number} at
   * @returns {number} an index; the length where there is none
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

  /** Forget all samples. */
  clear() {
    this.length = 0;
    this.total = 0;
  }
}
