// @ts-check
/**
 * An element that shows one producer of a server, for as long as it is in a page.
 * @module embed/live_element
 */
import { sourceOf } from "./source.js";

/** @typedef {import("./bodies.js").Body} Body */
/** @typedef {import("./bodies.js").MakeBody} MakeBody */
/** @typedef {import("./source.js").Source} Source */

const NOWHERE = "http://not-an-address.invalid/";

/** Elements are hidden until they have their styles. */
const WAITING = ":host { visibility: hidden; }";
/** Without them, they are readable all the same. */
const UNSTYLED = ".visually-hidden { display: none; }";

/**
 * Return a class of elements.
 * @param {MakeBody} makeBody makes what such an element shows
 * @param {string} server address of the server of elements that name none
 */
export function liveElement(makeBody, server) {
  return class extends HTMLElement {
    static observedAttributes = ["producer", "window", "lines", "server", "token", "ticket-url"];
    #root = this.attachShadow({ mode: "open" });
    /** Stops showing; null while the element is in no page. @type {(() => void) | null} */
    #stop = null;

    constructor() {
      super();
      this.#root.adoptedStyleSheets = [styles(server)];
    }

    connectedCallback() {
      const producer = this.getAttribute("producer") ?? "";
      const ticketUrl = this.getAttribute("ticket-url");
      const source = sourceOf(addressOf(this.getAttribute("server") ?? server).replace(/[^/]$/, "$&/"), {
        token: this.getAttribute("token"),
        ticketUrl: ticketUrl === null ? null : addressOf(ticketUrl),
      });
      const body = makeBody(this, source.dataOf(producer), () => source.repaint());
      const viewer = { producer, ...body };
      this.#root.replaceChildren(body.element);
      source.add(viewer);
      this.#stop = () => source.remove(viewer);
    }

    disconnectedCallback() {
      this.#stop?.();
      this.#stop = null;
      this.#root.replaceChildren();
    }

    attributeChangedCallback() {
      if (this.#stop === null) return;
      this.disconnectedCallback();
      this.connectedCallback();
    }
  };
}

/**
 * Return a whole address. For what is none, return one at which nothing answers.
 * @param {string} given perhaps relative to the page
 */
function addressOf(given) {
  const url = new URL(URL.canParse(given, document.baseURI) ? given : NOWHERE, document.baseURI);
  return url.protocol.startsWith("http") ? url.href : NOWHERE;
}

/** A page may change its rem. Within an element, a length of this name is what a rem is in a page that does not. */
const REM = "--rtdemo-rem";

/** One sheet for all elements of a page. @type {CSSStyleSheet | null} */
let sheet = null;

/** @param {string} server */
function styles(server) {
  if (sheet !== null) return sheet;
  const made = new CSSStyleSheet();
  made.replaceSync(WAITING);
  CSS.registerProperty({ name: REM, syntax: "<length>", inherits: true, initialValue: "16px" });
  fetch(new URL("static/embed.css", server))
    .then((response) => response.text())
    .then((text) => made.replaceSync(text.replace(/(-?[\d.]+)rem\b/g, `calc($1 * var(${REM}))`)))
    .catch(() => made.replaceSync(UNSTYLED));
  sheet = made;
  return made;
}
