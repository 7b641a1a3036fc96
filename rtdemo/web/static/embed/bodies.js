// @ts-check
/**
 * What each element shows: a producer's card, or its newest value on one line of text.
 * @module embed/bodies
 */
import { make, write } from "../dom.js";
import { NONE, clip, oneLine } from "../format.js";
import { numberText } from "../value.js";
import { MAX_AUTO_S, arrangement } from "../view/address.js";
import { Card } from "../view/card.js";
import { windowSeconds } from "./window.js";

/** @typedef {import("../view/producer_data.js").ProducerData} ProducerData */

/** @typedef {import("../view/chart.js").Frame} Frame */

/**
 * @typedef {object} Body
 * @property {HTMLElement} element
 * @property {number} seconds of the past that it shows
 * @property {(frame: Frame, problem: string) => void} write writes its texts; problem: why nothing new is shown; empty if
 *   all is well
 * @property {() => boolean} draw as a card's
 */

/**
 * @callback MakeBody
 * @param {HTMLElement} host the element of the page
 * @param {ProducerData} data
 * @param {() => void} changed requests a painting
 * @returns {Body}
 */

/** Characters of a value that is not a number. */
const MAX_TEXT_CHARS = 200;

/** @type {MakeBody} */
export function chartBody(host, data, changed) {
  const problem = make("p", "problem note");
  const readout = make("p", "visually-hidden");
  readout.setAttribute("aria-live", "polite");
  const card = new Card(data, { announce: (text) => write(readout, text), changed });
  card.element.querySelector("header")?.after(problem);
  const element = make("div", "frame");
  element.append(card.element, readout);
  const window = windowSeconds(host.getAttribute("window"));
  const lines = arrangement(host.getAttribute("lines"));
  return {
    element,
    seconds: window ?? MAX_AUTO_S,
    write: (frame, sentence) => {
      card.write({ ...frame, window, lines });
      problem.hidden = sentence === "";
      writeSentence(problem, sentence);
    },
    draw: () => card.draw(),
  };
}

/**
 * Write a sentence. A browser would break the flag in it after its hyphens.
 * @param {HTMLElement} element
 * @param {string} sentence
 */
function writeSentence(element, sentence) {
  if (element.textContent === sentence) return;
  const parts = sentence.split(/(--[a-z-]+)/);
  element.replaceChildren(...parts.map((part) => (part.startsWith("--") ? make("span", "flag", part) : part)));
}

/** @type {MakeBody} */
export function valueBody(_host, data) {
  const value = make("span", "");
  const problem = make("span", "visually-hidden");
  const element = make("span", "value");
  element.setAttribute("role", "group");
  element.append(value, problem);
  /** @type {Body["write"]} */
  const writeAll = ({ now }, sentence) => {
    const why = sentence || (data.isStale(now) ? "This value is overdue." : "");
    const name = oneLine(clip(data.title, MAX_TEXT_CHARS));
    element.setAttribute("aria-label", name);
    element.title = why === "" ? name : `${name}: ${why}`;
    element.dataset.fresh = why === "" ? "yes" : "no";
    write(value, valueText(data));
    write(problem, why === "" ? "" : ` (${why})`);
  };
  return { element, seconds: 0, write: writeAll, draw: () => false };
}

/**
 * Write the newest value with its unit, on one line.
 * @param {ProducerData} data
 */
function valueText({ at, kind, value, text, newest, decimals, description }) {
  if (at === null || value === null) return NONE;
  if (kind !== "number") return oneLine(clip(text, MAX_TEXT_CHARS));
  const unit = oneLine(clip(description.unit, 40));
  return numberText(newest[0], decimals[0]) + (unit === "" ? "" : `\u00a0${unit}`);
}
