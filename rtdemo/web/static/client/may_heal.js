// @ts-check
/**
 * Which refusals may pass by themselves. Pure. The Python client has the same rule, and docs/protocol.md states it.
 * @module client/may_heal
 */

/**
 * Return whether the same request may be answered otherwise later, with no change of anything.
 * @param {number} status of the answer. A 501 stays: no server learns a method.
 */
export function mayHeal(status) {
  return status >= 500 ? status !== 501 : [408, 425, 429].includes(status);
}
