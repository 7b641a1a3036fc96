// @ts-check
/**
 * Chance that can be repeated: the same seed draws the same numbers, and a run's verdict can be computed again. Pure.
 * @module compare/random
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
