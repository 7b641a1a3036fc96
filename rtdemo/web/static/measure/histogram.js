// @ts-check
/**
 * How often each latency occurred, in buckets that grow by 2 %: constant memory, and percentiles within 1 %. Pure.
 * @module measure/histogram
 */

/** Milliseconds at which the first bucket begins; what is less counts as next to nothing. */
export const FIRST = 0.01;
export const GROWTH = 1.02;
/** The last bucket begins at 13 minutes. */
export const BUCKETS = 920;

const LOG_GROWTH = Math.log(GROWTH);

/**
 * Tell where a bucket begins.
 * @param {number} bucket
 * @returns {number} milliseconds
 */
export function edge(bucket) {
  return FIRST * GROWTH ** bucket;
}

/**
 * Tell of how many values a percentile is one of them, and not a guess at more than there were.
 * @param {number} percent
 */
export function needed(percent) {
  return percent <= 50 ? 1 : Math.ceil(100 / (100 - percent));
}

export class Histogram {
  counts = new Uint32Array(BUCKETS);
  /** Values under FIRST, negative ones among them. */
  below = 0;
  count = 0;
  /** @type {number | null} the largest value, exactly */
  max = null;

  /** @param {number} value milliseconds */
  add(value) {
    this.count += 1;
    this.max = this.max === null ? value : Math.max(this.max, value);
    if (value < FIRST) this.below += 1;
    else this.counts[Math.min(Math.floor(Math.log(value / FIRST) / LOG_GROWTH), BUCKETS - 1)] += 1;
  }

  /**
   * Tell the value that so many percent do not exceed: the nearest rank, as the middle of its bucket.
   * @param {number} percent
   * @returns {number | null} null while there are too few values
   */
  percentile(percent) {
    if (this.max === null || this.count < needed(percent)) return null;
    let rank = Math.max(1, Math.ceil((this.count * percent) / 100)) - this.below;
    if (rank <= 0) return Math.min(0, this.max);
    for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
      rank -= this.counts[bucket];
      if (rank <= 0) return Math.min(edge(bucket + 0.5), this.max);
    }
    return this.max;
  }

  /** Keep what there is now. */
  copy() {
    const { counts, below, count, max } = this;
    return Object.assign(new Histogram(), { counts: counts.slice(), below, count, max });
  }

  /** Forget all values. */
  clear() {
    this.counts.fill(0);
    this.below = 0;
    this.count = 0;
    this.max = null;
  }
}
