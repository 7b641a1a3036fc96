// @ts-check
/**
 * What a card shows below its title, by the kind of its values.
 * @module view/bodies
 */
import { make, write } from "../dom.js";
import { NONE, clip, count, oneLine, visible } from "../format.js";
import { Chart, clockText, keyName, strokeOf } from "./chart.js";
import { changeText, exactSpan, isDict, isPoint, jsonText, numberText, spanText } from "../value.js";

/** @typedef {import("./chart.js").CardFrame} CardFrame */
/** @typedef {import("./producer_data.js").ProducerData} ProducerData */
/** @typedef {import("../value.js").Kind} Kind */

/**
 * @typedef {object} Body
 * @property {HTMLElement[]} elements
 * @property {(data: ProducerData, frame: CardFrame) => void} write called when the data or the time may have changed
 * @property {Chart} [chart] drawn after the texts of all cards: to measure a text lays out the page, once
 */

/**
 * @typedef {object} Surroundings
 * @property {(text: string) => void} announce
 * @property {() => void} changed
 * @property {(name: string) => void} [hide] hides the card of a producer; by default a card has no button for it
 */

/** Bounds on a table. */
const MAX_ROWS = 50;
const MAX_COLUMNS = 8;
/** Characters of a line of text that are shown. */
const MAX_TEXT_CHARS = 500;
/** Characters of a text beside numbers. */
const MAX_QUOTED_CHARS = 40;
/** Numbers, other values, dashes and nothing, as texts: a reader may take them for what they are not. */
const LIKE_A_VALUE = /^([-+\u2212]?[\d.,][\d.,\s]*(e[-+]?\d+)?|[-+\u2212]?(nan|inf(inity)?)|true|false|null|none|[-\u2013\u2014])?$/i;
/** Bound on entries of a dict that have no line. */
const MAX_OTHERS = 12;

/** @type {Record<Kind, (surroundings: Surroundings) => Body>} */
export const BODIES = {
  number: (surroundings) => new NumberBody(surroundings),
  lines: (surroundings) => new LinesBody(surroundings),
  state: (surroundings) => new StateBody(surroundings),
  text: () => new TextBody(),
  table: () => new TableBody(),
};

/**
 * Let a part be scrolled, by the keyboard too.
 * @param {string} className
 * @param {Node} content
 */
function scrolled(className, content) {
  const made = make("div", className, content);
  made.tabIndex = 0;
  made.setAttribute("role", "group");
  made.setAttribute("aria-label", "Newest values");
  return made;
}

/**
 * Write which text is not drawn, for as long as the chart shows its time.
 * @param {HTMLElement} element
 * @param {ProducerData} data
 * @param {CardFrame} frame
 */
function writeUndrawn(element, { undrawn }, { edge, seconds }) {
  element.hidden = undrawn === null || undrawn.at < edge - seconds * 1000 || undrawn.at > edge;
  if (undrawn === null) return;
  const { key, text } = undrawn;
  write(element, `${quoted(text)}${key === "" ? "" : ` under ${quoted(key)}`} is a text: not drawn.`);
}

/** @param {string} text */
function quoted(text) {
  return `'${oneLine(clip(text, MAX_QUOTED_CHARS))}'`;
}

class NumberBody {
  #number = make("span", "number");
  #unit = make("span", "unit");
  #change = make("p", "change note");
  #undrawn = make("p", "undrawn note");
  #longest = 0;

  /** @param {Surroundings} surroundings */
  constructor({ announce, changed }) {
    this.chart = new Chart(announce, changed);
    const figure = make("p", "figure", this.#number, " ", this.#unit);
    this.elements = [figure, this.#change, this.#undrawn, this.chart.element];
  }

  /**
   * @param {ProducerData} data
   * @param {CardFrame} frame
   */
  write(data, frame) {
    const [value = NaN] = data.newest;
    const [decimals = 0] = data.decimals;
    const text = numberText(value, decimals);
    write(this.#number, text);
    // A long number is smaller, so that it stays on one line. It stays so: with its sign alone it would jump.
    this.#longest = Math.max(this.#longest, text.length);
    this.#number.dataset.size = this.#longest > 12 ? "small" : this.#longest > 8 ? "middle" : "large";
    write(this.#unit, oneLine(clip(data.description.unit, 40)));
    write(this.#change, changeSince(data, frame, value, decimals));
    writeUndrawn(this.#undrawn, data, frame);
  }
}

/**
 * Write the change since the start of the window, or since the first value if that is later.
 * @param {ProducerData} data
 * @param {CardFrame} frame
 * @param {number} value
 * @param {number} decimals
 */
function changeSince({ series, at }, { now, seconds }, value, decimals) {
  if (series.length === 0 || at === null || Number.isNaN(value)) return "\u00a0";
  let first = series.since(now - seconds * 1000);
  while (first < series.length && Number.isNaN(series.low[0][first])) first += 1;
  if (first >= series.length - 1) return "\u00a0";
  const before = (series.low[0][first] + series.high[0][first]) / 2;
  return `${changeText(value - before, decimals)} in ${exactSpan(Math.round((at - series.at[first]) / 1000))}`;
}

class LinesBody {
  #legend = make("ul", "legend");
  #more = make("p", "note");
  #undrawn = make("p", "undrawn note");
  #keys = "";
  #version = -1;

  /** @param {Surroundings} surroundings */
  constructor({ announce, changed }) {
    this.chart = new Chart(announce, changed);
    this.elements = [this.#legend, this.#more, this.#undrawn, this.chart.element];
  }

  /**
   * @param {ProducerData} data
   * @param {CardFrame} frame
   */
  write(data, frame) {
    writeUndrawn(this.#undrawn, data, frame);
    if (data.version === this.#version) return;
    this.#version = data.version;
    const { decimals, others } = data;
    const shown = others.slice(0, MAX_OTHERS);
    this.#nameAll(data.keys, shown);
    const unit = data.description.unit === "" ? "" : ` ${oneLine(clip(data.description.unit, 12))}`;
    const newest = isDict(data.value) ? data.value : {};
    data.keys.forEach((key, line) => {
      const value = Object.hasOwn(newest, key) ? newest[key] : null;
      const text = numberText(data.newest[line] ?? NaN, decimals[line]);
      if (isPoint(value)) this.#write(line, text === NONE ? text : text + unit, "");
      else this.#write(line, otherText(value), jsonText(value));
    });
    shown.forEach(([, value], index) => this.#write(data.keys.length + index, otherText(value), jsonText(value)));
    const more = data.moreKeys + others.length - shown.length;
    this.#more.hidden = more === 0;
    write(this.#more, `${count(more)} more ${more === 1 ? "key is" : "keys are"} not shown.`);
  }

  /**
   * @param {number} item
   * @param {string} text
   * @param {string} whole what is no number, longer; empty for a number
   */
  #write(item, text, whole) {
    const shown = /** @type {HTMLElement} */ (this.#legend.children[item].lastElementChild);
    write(shown, text);
    shown.className = whole === "" ? "value" : "value other";
    shown.title = whole;
  }

  /**
   * Name the lines, and what has none.
   * @param {string[]} keys
   * @param {[string, unknown][]} others
   */
  #nameAll(keys, others) {
    const names = [...keys, ...others.map(([key]) => key)];
    const all = JSON.stringify([keys.length, names]);
    if (all === this.#keys) return;
    this.#keys = all;
    const items = names.map((key, line) => {
      const label = make("span", "key", keyName(key));
      label.title = oneLine(clip(key, 300));
      // A text is not drawn: it has no stroke.
      if (line >= keys.length) return make("li", "", label, make("span", "value"));
      const { name, dash } = strokeOf(line);
      const swatch = make("i", "swatch");
      swatch.style.setProperty("--swatch", keys.length === 1 ? "var(--ink)" : `var(--${name})`);
      if (dash.length > 0) swatch.dataset.dashed = "yes";
      return make("li", "", swatch, label, make("span", "value"));
    });
    this.#legend.replaceChildren(...items);
  }
}

/**
 * Write an entry of a dict that is no number. A text has quotes where it looks like another value.
 * @param {unknown} value
 */
function otherText(value) {
  if (typeof value === "string" && LIKE_A_VALUE.test(value.trim())) return quoted(value);
  return clip(jsonText(value), MAX_QUOTED_CHARS);
}

class StateBody {
  #state = make("span", "number");
  #since = make("p", "change note");
  #undrawn = make("p", "undrawn note");

  /** @param {Surroundings} surroundings */
  constructor({ announce, changed }) {
    this.chart = new Chart(announce, changed);
    this.chart.element.classList.add("strip");
    this.elements = [make("p", "figure", this.#state), this.#since, this.#undrawn, this.chart.element];
  }

  /**
   * @param {ProducerData} data
   * @param {CardFrame} frame
   */
  write(data, frame) {
    const [value = NaN] = data.newest;
    write(this.#state, Number.isNaN(value) ? NONE : value > 0 ? "true" : "false");
    this.#state.dataset.state = value > 0 ? "true" : "false";
    write(this.#since, stateSince(data, frame.now));
    writeUndrawn(this.#undrawn, data, frame);
  }
}

/**
 * Write for how long the newest state has lasted.
 * @param {ProducerData} data
 * @param {number} now
 */
function stateSince({ series }, now) {
  let index = series.length - 1;
  if (index < 0 || Number.isNaN(series.low[0][index])) return "\u00a0";
  const value = series.high[0][index];
  while (index > 0 && series.high[0][index - 1] === value && series.low[0][index - 1] === value) index -= 1;
  const least = index === 0 ? "at least " : "";
  return `for ${least}${spanText((now - series.at[index]) / 1000)}`;
}

class TextBody {
  #list = make("ol", "texts");
  elements = [scrolled("scroll", this.#list)];
  #version = -1;

  /** @param {ProducerData} data */
  write(data) {
    if (data.version === this.#version) return;
    this.#version = data.version;
    data.texts.forEach(({ at, text }, index) => {
      let item = this.#list.children[index];
      if (item === undefined) {
        item = make("li", "", make("span", "time"), make("span", "text"));
        this.#list.append(item);
      }
      const [time, shown] = item.children;
      write(time, clockText(at));
      write(shown, visible(clip(text, MAX_TEXT_CHARS)));
    });
    while (this.#list.children.length > data.texts.length) this.#list.lastElementChild?.remove();
  }
}

class TableBody {
  #table = make("table", "json");
  #more = make("p", "note");
  elements = [scrolled("scroll", this.#table), this.#more];
  #version = -1;

  /** @param {ProducerData} data */
  write(data) {
    if (data.version === this.#version) return;
    this.#version = data.version;
    const { head, rows, more } = tableOf(data.value);
    // A column is on the side that its first value calls for.
    const classes = (rows[0] ?? []).map((value) => (typeof value === "number" ? "figures" : ""));
    const parts = head === null ? [] : [make("thead", "", row("th", head, classes))];
    this.#table.replaceChildren(...parts, make("tbody", "", ...rows.map((cells) => row("td", cells, classes))));
    this.#more.hidden = more === 0;
    write(this.#more, `${count(more)} more ${more === 1 ? "row is" : "rows are"} not shown.`);
  }
}

/**
 * @param {"td" | "th"} tag
 * @param {unknown[]} cells
 * @param {string[]} classes of the columns
 */
function row(tag, cells, classes) {
  return make("tr", "", ...cells.map((value, column) => make(tag, classes[column] ?? "", cellText(value))));
}

/** @param {unknown} value undefined for none */
function cellText(value) {
  return value === undefined ? "" : jsonText(value);
}

/**
 * Lay a value out as a table: a list of dicts by their keys, another list by its places, a dict by its keys.
 * @param {unknown} value
 * @returns {{ head: string[] | null, rows: unknown[][], more: number }} more: rows that are left out
 */
function tableOf(value) {
  if (typeof value !== "object" || value === null) return { head: null, rows: [[value]], more: 0 };
  const all = Array.isArray(value) ? value.map((each, index) => [index + 1, each]) : Object.entries(value);
  const shown = all.slice(0, MAX_ROWS);
  const more = all.length - shown.length;
  const isRecords = Array.isArray(value) && shown.every(([, each]) => isDict(each));
  if (!isRecords) return { head: null, rows: shown, more };
  const keys = [...new Set(shown.flatMap(([, each]) => Object.keys(each)))].slice(0, MAX_COLUMNS);
  const rows = shown.map(([, each]) => keys.map((key) => (Object.hasOwn(each, key) ? each[key] : undefined)));
  return { head: keys, rows, more };
}
