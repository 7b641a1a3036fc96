// @ts-check
/**
 * Latency histogram in buckets that grow by 2 %: constant memory, and percentiles within 1 %. Pure.
 * @module measure/histogram
 */

/** Start of the first bucket; smaller values are counted in `below`. */
const FIRST_EDGE_MS = 0.01;
/** Ratio of a bucket's end to its start. */
const GROWTH = 1.02;
/** Number of buckets; the last starts at 13 minutes. */
export const BUCKETS = 920;

/** Values beyond a percentile from which single ones no longer decide it. bench shows none of fewer. */
const SETTLED_BEYOND = 10;

const LOG_GROWTH = Math.log(GROWTH);

/**
 * Return the start of a bucket.
 * @param {number} bucket
 * @returns {number} milliseconds
 */
export function bucketEdge(bucket) {
  return FIRST_EDGE_MS * GROWTH ** bucket;
}

/**
 * Return the fewest values for which a percentile is shown.
 * @param {number} percent
 */
export function minimumCount(percent) {
  return percent <= 50 ? 1 : Math.ceil(100 / (100 - percent));
}

/**
 * Return the fewest values from which a percentile above the median is settled; of fewer it is rough.
 * @param {number} percent
 */
export function settledCount(percent) {
  return SETTLED_BEYOND * minimumCount(percent);
}

export class Histogram {
  counts = new Uint32Array(BUCKETS);
  /** Number of values under FIRST_EDGE_MS, including negative ones. */
  below = 0;
  count = 0;
  /** @type {number | null} the exact largest value, milliseconds */
  max = null;

  /** @param {number} value milliseconds */
  add(value) {
    this.count += 1;
    this.max = this.max === null ? value : Math.max(this.max, value);
    this.#change(value, 1);
  }

  /**
   * Remove a value that was added before. Afterwards the largest one needs a correction.
   * @param {number} value milliseconds
   */
  remove(value) {
    this.count -= 1;
    this.#change(value, -1);
  }

  /**
   * Correct the largest value after removals. Without the values themselves it is that of the last bucket, within 2 %.
   * @param {number} known the largest of the values that are still known; -Infinity if there are none
   */
  correctMax(known) {
    const last = this.counts.findLastIndex((count) => count > 0);
    const least = last < 0 ? -Infinity : bucketEdge(last);
    this.max = this.count === 0 ? null : Math.max(known, least, this.below > 0 ? 0 : -Infinity);
  }

  /**
   * @param {number} value milliseconds
   * @param {number} change of its bucket's count
   */
  #change(value, change) {
    if (value < FIRST_EDGE_MS) this.below += change;
    else this.counts[Math.min(Math.floor(Math.log(value / FIRST_EDGE_MS) / LOG_GROWTH), BUCKETS - 1)] += change;
  }

  /**
   * Return a percentile by nearest rank, as the middle of its bucket.
   * @param {number} percent
   * @returns {number | null} milliseconds; null while there are too few values
   */
  percentile(percent) {
    if (this.max === null || this.count < minimumCount(percent)) return null;
    let rank = Math.max(1, Math.ceil((this.count * percent) / 100)) - this.below;
    if (rank <= 0) return Math.min(0, this.max);
    for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
      rank -= this.counts[bucket];
      if (rank <= 0) return Math.min(bucketEdge(bucket + 0.5), this.max);
    }
    return this.max;
  }

  /** Return a copy. */
  copy() {
    const { counts, below, count, max } = this;
    return Object.assign(new Histogram(), { counts: counts.slice(), below, count, max });
  }

  /** Remove all values. */
  clear() {
    this.counts.fill(0);
    this.below = 0;
    this.count = 0;
    this.max = null;
  }
}
