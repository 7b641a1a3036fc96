// @ts-check
/**
 * Shows one producer: a table row, cloned from the template.
 * @module panels/producer_row
 */
import { clip, count, oneLine } from "../format.js";
import { part, partOfType, write } from "../dom.js";
import { TRANSPORT_LABELS, TRANSPORTS, switchable, periodText } from "../producers.js";

/** @typedef {import("../producers.js").Producer} Producer */
/** @typedef {import("../producers.js").TransportName} TransportName */
/** @typedef {import("../connection/selection.js").Selection} Selection */

/**
 * @typedef {object} RowActions
 * @property {(name: string, transport: TransportName, on: boolean) => void} switched
 * @property {(name: string) => Promise<void>} enable
 */

/** Characters of a name in the table; labels have the first 80. */
const MAX_NAME_CHARS = 300;

export class ProducerRow {
  element;
  #name;
  #enabling = false;

  /**
   * @param {HTMLTemplateElement} template
   * @param {string} name
   * @param {RowActions} actions
   */
  constructor(template, name, actions) {
    const copy = document.importNode(template.content, true);
    this.element = part(copy, "producer");
    this.#name = oneLine(clip(name, 80));
    this.#write("name", oneLine(clip(name, MAX_NAME_CHARS)));
    for (const transport of TRANSPORTS) this.#listen(transport, (on) => actions.switched(name, transport, on));
    const enable = part(this.element, "enable");
    enable.setAttribute("aria-label", `Enable ${this.#name}`);
    enable.addEventListener("click", () => void this.#enable(() => actions.enable(name)));
  }

  /**
   * Write the current state.
   * @param {Producer} producer
   * @param {Record<TransportName, Selection>} chosen
   */
  paint(producer, chosen) {
    this.element.dataset.state = producer.state;
    this.#write("origin", oneLine(clip(producer.origin, 120)));
    this.#write("producer-state", producer.state);
    this.#write("runs", count(producer.runs));
    this.#write("failures", count(producer.failures));
    this.#write("blocked", count(producer.blocked));
    this.#write("error-line", producer.error);
    this.#write("error-text", producer.error);
    part(this.element, "error-line").setAttribute("aria-label", `Last error of ${this.#name}: ${producer.error}`);
    part(this.element, "error").hidden = producer.error === "";
    for (const transport of TRANSPORTS) this.#paintSwitch(producer, transport, chosen[transport]);
    const enable = part(this.element, "enable");
    if (producer.state !== "disabled" && document.activeElement === enable) part(this.element, "condition").focus();
    enable.hidden = producer.state !== "disabled";
  }

  /**
   * @param {Producer} producer
   * @param {TransportName} transport
   * @param {Selection} selection
   */
  #paintSwitch(producer, transport, selection) {
    const box = this.#box(transport);
    const able = switchable(producer, transport);
    const text = periodText(producer, transport, selection.speed);
    const selected = selection.producers?.includes(producer.name) ?? true;
    box.checked = able ? selected : producer.on[transport] !== null;
    box.setAttribute("aria-disabled", String(!able));
    box.setAttribute("aria-label", `${this.#name} over ${TRANSPORT_LABELS[transport]}, ${text}`);
    this.#write(`over-${transport}-period`, text);
  }

  /**
   * Listen to a switch. One that cannot be moved keeps the focus and its reason, which `disabled` would remove.
   * @param {TransportName} transport
   * @param {(on: boolean) => void} moved
   */
  #listen(transport, moved) {
    const box = this.#box(transport);
    box.addEventListener("click", (event) => {
      if (box.getAttribute("aria-disabled") === "true") event.preventDefault();
    });
    box.addEventListener("change", () => moved(box.checked));
  }

  /** @param {() => Promise<void>} action */
  async #enable(action) {
    if (this.#enabling) return;
    this.#enabling = true;
    await action();
    this.#enabling = false;
  }

  /** @param {TransportName} transport */
  #box(transport) {
    return partOfType(this.element, `over-${transport}`, HTMLInputElement);
  }

  /**
   * @param {string} name
   * @param {string} text
   */
  #write(name, text) {
    write(part(this.element, name), text);
  }
}
