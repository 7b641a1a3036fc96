// @ts-check
/**
 * Long work in slices, so that it delays no message.
 * @module panels/slices
 */

/** Bound on the time of a slice, and so on the delay of a message. */
const SLICE_MS = 4;

/**
 * Collect the texts of a generator. Other events run between two slices.
 * @param {Iterator<string>} texts
 * @returns {Promise<string[]>} one text for each slice
 */
export async function collected(texts) {
  const slices = [];
  for (;;) {
    const end = performance.now() + SLICE_MS;
    const slice = [];
    for (let step = texts.next(); ; step = texts.next()) {
      if (step.done) return [...slices, slice.join("")];
      slice.push(step.value);
      if (performance.now() >= end) break;
    }
    slices.push(slice.join(""));
    await nextTurn();
  }
}

/** Wait for a turn of the event loop. A timer would wait 4 ms more, and far longer in a hidden tab. */
function nextTurn() {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve(undefined);
    };
    port2.postMessage(null);
  });
}
