// @ts-check
/**
 * Live values in any page: <rtdemo-chart producer="loss"> and <rtdemo-value producer="loss">.
 *
 * The server joins this module and all that it imports into one file of the same name. Pages of any origin may load it;
 * `--allow-origin` decides which pages get data.
 * @module embed
 */
import { chartBody, valueBody } from "./embed/bodies.js";
import { liveElement } from "./embed/live_element.js";

/** Address of the server that has sent this module: what is before `static/`. */
const server = import.meta.url.replace(/static\/([0-9a-f]+\/)?embed\.js([?#].*)?$/, "");

const ELEMENTS = { "rtdemo-chart": chartBody, "rtdemo-value": valueBody };

// Another server's module may have defined them: then the attribute `server` of an element names this one.
for (const [name, body] of Object.entries(ELEMENTS)) {
  if (customElements.get(name) === undefined) customElements.define(name, liveElement(body, server));
}
