// @ts-check
/**
 * Samples gathered by columns of pixels: what is drawn costs as much as the picture is wide, not as there are samples.
 * @module views/columns
 */

/** @typedef {import("../measure/ring.js").Ring} Ring */

/** The most columns that a picture has; a wider one would leave the rest empty. */
const MOST = 4096;

export class Columns {
  min = new Float32Array(MOST);
  max = new Float32Array(MOST);
  sum = new Float64Array(MOST);
  count = new Uint32Array(MOST);

  /**
   * Gather the samples between two moments.
   * @param {Ring} ring
   * @param {number} from performance.now()
   * @param {number} to
   * @param {number} columns
   * @param {boolean} counted those that count, or those that are left out
   */
  gather(ring, from, to, columns, counted) {
    const width = Math.min(columns, MOST);
    this.count.fill(0, 0, width);
    const scale = width / (to - from);
    for (let index = ring.since(from); index < ring.length; index += 1) {
      const slot = ring.slot(index);
      if (ring.at[slot] >= to) break;
      if ((ring.flags[slot] === 0) === counted) {
        this.#add(Math.floor((ring.at[slot] - from) * scale), ring.latency[slot]);
      }
    }
  }

  /**
   * @param {number} column
   * @param {number} latency NaN where it is not known
   */
  #add(column, latency) {
    if (Number.isNaN(latency)) return;
    if (this.count[column] === 0) {
      this.min[column] = this.max[column] = latency;
      this.sum[column] = 0;
    }
    this.min[column] = Math.min(this.min[column], latency);
    this.max[column] = Math.max(this.max[column], latency);
    this.sum[column] += latency;
    this.count[column] += 1;
  }
}

/**
 * Find the largest latency between two moments.
 * @param {Ring} ring
 * @param {number} from performance.now()
 * @param {number} to
 */
export function largest(ring, from, to) {
  let max = 0;
  for (let index = ring.since(from), end = ring.since(to); index < end; index += 1) {
    const latency = ring.latency[ring.slot(index)];
    if (latency > max) max = latency;
  }
  return max;
}
