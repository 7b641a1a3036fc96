// @ts-check
/**
 * The stops of the rate slider: a tenth to twenty times, evenly spaced by ratio, each a number that reads well.
 * @module views/rate
 */

export const STOPS = ["0.1", "0.15", "0.2", "0.3", "0.5", "0.7", "1", "1.5", "2", "3", "5", "7", "10", "15", "20"];

/**
 * Find the stop that is nearest by ratio, as the slider shows it.
 * @param {string} speed
 * @returns {number} an index
 */
export function nearestStop(speed) {
  const wanted = Math.log(Number(speed));
  if (!Number.isFinite(wanted)) return STOPS.indexOf("1");
  const distances = STOPS.map((stop) => Math.abs(Math.log(Number(stop)) - wanted));
  return distances.indexOf(Math.min(...distances));
}
