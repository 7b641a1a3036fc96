// @ts-check
/**
 * The interval of a difference: a block bootstrap (Künsch 1989), paired between the transports.
 *
 * Messages near each other in time are slow together. So it draws whole blocks of time, the same for both sides, instead
 * of messages. Each side's samples are sorted once. A quantile of a draw is then one pass over them, in which each sample
 * counts as often as its block was drawn. Pure.
 * @module compare/bootstrap
 */

/**
 * Make a generator of numbers from 0 to below 1: xorshift32 (Marsaglia, Xorshift RNGs, 2003). A fixed seed makes a verdict
 * reproducible.
 * @param {number} seed a whole number other than 0
 * @returns {() => number}
 */
export function seeded(seed) {
  let state = seed | 0;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

/** Number of draws: the ends of a 95 % interval are then the eleventh value from either end. */
const DRAWS = 400;

/** Part of the draws beyond each end of a 95 % interval. */
const TAIL = 0.025;

/** @typedef {{ low: number, middle: number, high: number }} Interval milliseconds, first side minus second */

/**
 * @typedef {object} Sorted samples by their latency
 * @property {Float64Array} latency milliseconds
 * @property {Uint16Array} block the number of each one's block
 */

/**
 * Sort samples by latency. Latency and block are packed into one number: sorting numbers is several times as fast as
 * sorting with a callback.
 * @param {ArrayLike<number>} latency milliseconds; resolved to the microsecond
 * @param {ArrayLike<number>} block below 65,536
 * @returns {Sorted}
 */
export function sortSamples(latency, block) {
  const keys = Float64Array.from(latency, (value, index) => Math.round(value * 1000) * 65_536 + block[index]).sort();
  const microseconds = keys.map((key) => Math.floor(key / 65_536));
  return {
    latency: microseconds.map((value) => value / 1000),
    block: Uint16Array.from(keys, (key, index) => key - microseconds[index] * 65_536),
  };
}

/**
 * Count the samples of each block.
 * @param {Sorted} sorted
 * @param {number} blocks
 */
function blockSizes({ block }, blocks) {
  const counts = new Uint32Array(blocks);
  for (const number of block) counts[number] += 1;
  return counts;
}

/**
 * Return a quantile of weighted samples. The pass starts at the nearer end.
 * @param {Sorted} sorted
 * @param {Uint32Array} counts samples of each block
 * @param {Uint16Array} weights how often each block was drawn
 * @param {number} share 0.5 is the median
 */
function quantile({ latency, block }, counts, weights, share) {
  const all = counts.reduce((sum, count, number) => sum + count * weights[number], 0);
  const rank = Math.max(1, Math.ceil(all * share));
  const [step, start, steps] = share > 0.5 ? [-1, block.length - 1, all - rank + 1] : [1, 0, rank];
  let left = steps;
  for (let index = start; index >= 0 && index < block.length; index += step) {
    left -= weights[block[index]];
    if (left <= 0) return latency[index];
  }
  return NaN;
}

/**
 * Estimate the difference of a quantile with its interval. Yields after each draw, so that the work can be split.
 * @param {Sorted} first
 * @param {Sorted} second
 * @param {number} blocks number of blocks
 * @param {number} share 0.5 is the median
 * @param {number} [tail] part of the draws beyond each end of the interval
 * @param {number} [seed]
 * @returns {Generator<undefined, Interval>}
 */
export function* quantileDifference(first, second, blocks, share, tail = TAIL, seed = 20_251_122) {
  const random = seeded(seed);
  const weights = new Uint16Array(blocks).fill(1);
  const [one, other] = [blockSizes(first, blocks), blockSizes(second, blocks)];
  const difference = () => quantile(first, one, weights, share) - quantile(second, other, weights, share);
  const middle = difference();
  const drawn = new Float64Array(DRAWS);
  for (let draw = 0; draw < DRAWS; draw += 1) {
    weights.fill(0);
    for (let block = 0; block < blocks; block += 1) weights[Math.floor(random() * blocks)] += 1;
    drawn[draw] = difference();
    yield;
  }
  drawn.sort();
  const beyond = DRAWS * tail;
  return { low: drawn[beyond], middle, high: drawn[DRAWS - 1 - beyond] };
}
