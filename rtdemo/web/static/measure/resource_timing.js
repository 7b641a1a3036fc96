// @ts-check
/**
 * What the browser's own record says of requests: the parts of a connection's time, and the version of HTTP.
 *
 * Resource Timing records a request when its response has ended, so a stream's parts are known only after it. No browser
 * records a WebSocket.
 * @module measure/resource_timing
 */
import { milliseconds } from "../format.js";

/**
 * @typedef {object} Parts milliseconds
 * @property {number} dns
 * @property {number} tcp
 * @property {number} tls
 * @property {number} first from the request to the response's first byte
 */

/**
 * Split a record into its parts.
 * @param {PerformanceResourceTiming} record a PerformanceNavigationTiming is one, too
 * @returns {Parts | null} null where it was kept from this page, or had no answer
 */
export function partsOf(record) {
  const { domainLookupStart, domainLookupEnd, connectStart, connectEnd, secureConnectionStart } = record;
  const { requestStart, responseStart } = record;
  if (requestStart === 0 || responseStart === 0) return null;
  const tls = secureConnectionStart > 0 ? connectEnd - secureConnectionStart : 0;
  return {
    dns: domainLookupEnd - domainLookupStart,
    tcp: connectEnd - connectStart - tls,
    tls,
    first: responseStart - requestStart,
  };
}

/**
 * Say the parts in one line.
 * @param {Parts} parts
 */
export function partsLine({ dns, tcp, tls, first }) {
  const part = (/** @type {string} */ name, /** @type {number} */ value) => `${name} ${milliseconds(value)}`;
  return `${[part("DNS", dns), part("TCP", tcp), part("TLS", tls), part("first byte", first)].join(" · ")} ms`;
}

/** The page's own request went the way that a stream goes. */
function navigation() {
  const [record] = performance.getEntriesByType("navigation");
  return record instanceof PerformanceResourceTiming ? record : null;
}

export class Timing {
  /** The version of HTTP on this page's origin, such as http/1.1 or h2; empty where the browser does not tell. */
  protocol = navigation()?.nextHopProtocol ?? "";
  /** Parts of the stream that ended last. @type {Parts | null} */
  stream = null;

  /**
   * @param {string} path of the event stream
   * @param {() => void} changed
   */
  constructor(path, changed) {
    const observer = new PerformanceObserver((list) => {
      for (const record of list.getEntries()) {
        if (!(record instanceof PerformanceResourceTiming) || new URL(record.name).pathname !== path) continue;
        this.stream = partsOf(record) ?? this.stream;
        changed();
      }
    });
    observer.observe({ type: "resource" });
  }

  /** Say in one line what the stream's time was spent on. */
  get line() {
    if (this.stream !== null) return `last stream: ${partsLine(this.stream)}`;
    const record = navigation();
    const parts = record === null ? null : partsOf(record);
    return parts === null ? "told when the stream ends" : `this page: ${partsLine(parts)}`;
  }
}
