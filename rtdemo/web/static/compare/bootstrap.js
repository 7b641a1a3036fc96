// @ts-check
/**
 * How sure a difference is: a block bootstrap (Künsch 1989), paired between the transports.
 *
 * Messages near each other in time are slow together, so not they are drawn again and again but whole blocks of time,
 * the same ones for both sides. Each side's samples are sorted once; a quantile of a draw is then one walk over them,
 * each counting as often as its block was drawn. Pure.
 * @module compare/bootstrap
 */

/**
 * Make a generator of numbers from 0 to below 1: xorshift32 (Marsaglia, Xorshift RNGs, 2003).
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

/** Draws: the ends of a 95 % interval are then the tenth from either end. */
export const DRAWS = 400;

/** @typedef {{ low: number, middle: number, high: number }} Interval milliseconds, first side minus second */

/**
 * @typedef {object} Sorted samples by their latency
 * @property {Float64Array} latency milliseconds
 * @property {Uint16Array} block the number of each one's block
 */

/**
 * Sort samples by their latency. As one number of latency and block, since the browser's own sort of numbers is several
 * times as fast as one that calls back.
 * @param {ArrayLike<number>} latency milliseconds; told apart to the microsecond
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
function sizes({ block }, blocks) {
  const counts = new Uint32Array(blocks);
  for (const number of block) counts[number] += 1;
  return counts;
}

/**
 * Tell a quantile of samples of which each counts as often as its block. It is walked to from the nearer end.
 * @param {Sorted} sorted
 * @param {Uint32Array} counts samples of each block
 * @param {Uint16Array} weights by block
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
 * Estimate the difference of a quantile with its 95 % interval; yields after each draw, so that the work can be cut.
 * @param {Sorted} first
 * @param {Sorted} second
 * @param {number} blocks how many there are
 * @param {number} share
 * @param {number} [seed]
 * @returns {Generator<undefined, Interval>}
 */
export function* difference(first, second, blocks, share, seed = 20_251_122) {
  const random = seeded(seed);
  const weights = new Uint16Array(blocks).fill(1);
  const [one, other] = [sizes(first, blocks), sizes(second, blocks)];
  const apart = () => quantile(first, one, weights, share) - quantile(second, other, weights, share);
  const middle = apart();
  const drawn = new Float64Array(DRAWS);
  for (let draw = 0; draw < DRAWS; draw += 1) {
    weights.fill(0);
    for (let block = 0; block < blocks; block += 1) weights[Math.floor(random() * blocks)] += 1;
    drawn[draw] = apart();
    yield;
  }
  drawn.sort();
  const tail = DRAWS * 0.025;
  return { low: drawn[tail], middle, high: drawn[DRAWS - 1 - tail] };
}
