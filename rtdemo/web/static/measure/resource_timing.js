// @ts-check
/**
 * Reads the browser's Resource Timing: the parts of a connection's time, and the version of HTTP.
 *
 * The browser records a request when its response ends, so a stream's parts are known only then. No browser records a
 * WebSocket.
 * @module measure/resource_timing
 */
import { milliseconds } from "../format.js";

/**
 * @typedef {object} Parts milliseconds
 * @property {number} dns
 * @property {number} tcp
 * @property {number} tls
 * @property {number} firstByte from the request to the response's first byte
 */

/**
 * Split a record into its parts.
 * @param {PerformanceResourceTiming} record which may be a PerformanceNavigationTiming
 * @returns {Parts | null} null if it is hidden from this page or had no answer
 */
function partsOf(record) {
  const { domainLookupStart, domainLookupEnd, connectStart, connectEnd, secureConnectionStart } = record;
  const { requestStart, responseStart } = record;
  if (requestStart === 0 || responseStart === 0) return null;
  const tls = secureConnectionStart > 0 ? connectEnd - secureConnectionStart : 0;
  return {
    dns: domainLookupEnd - domainLookupStart,
    tcp: connectEnd - connectStart - tls,
    tls,
    firstByte: responseStart - requestStart,
  };
}

/**
 * Write the parts as one line.
 * @param {Parts} parts
 */
function partsLine({ dns, tcp, tls, firstByte }) {
  const part = (/** @type {string} */ name, /** @type {number} */ value) => `${name} ${milliseconds(value)}`;
  return `${[part("DNS", dns), part("TCP", tcp), part("TLS", tls), part("first byte", firstByte)].join(" · ")} ms`;
}

/** Return the record of the page's own request, which takes the same way as a stream. */
function navigation() {
  const [record] = performance.getEntriesByType("navigation");
  return record instanceof PerformanceResourceTiming ? record : null;
}

export class ResourceTiming {
  /**
   * Version of HTTP on this page's origin, such as http/1.1 or h2. Chromium has none for a page that had not changed
   * (304); then it is that of the first answer that comes, and empty until then.
   */
  protocol = navigation()?.nextHopProtocol ?? "";
  /** Parts of the last stream that ended. @type {Parts | null} */
  stream = null;

  /**
   * @param {string} path of the event stream
   * @param {() => void} changed
   */
  constructor(path, changed) {
    const observer = new PerformanceObserver((list) => {
      for (const record of list.getEntries()) {
        if (!(record instanceof PerformanceResourceTiming)) continue;
        const { origin, pathname } = new URL(record.name);
        if (origin === location.origin) this.protocol ||= record.nextHopProtocol;
        if (pathname !== path) continue;
        this.stream = partsOf(record) ?? this.stream;
        changed();
      }
    });
    observer.observe({ type: "resource" });
  }

  /** The parts of the last stream as one line. Those of another request, such as the page's own, would be no answer. */
  get line() {
    return this.stream === null ? "known when the stream ends" : `last stream: ${partsLine(this.stream)}`;
  }
}
