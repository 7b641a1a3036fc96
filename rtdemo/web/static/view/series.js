// @ts-check
/**
 * Numbers over time, of one line or several, bounded: an hour at any rate. Pure.
 *
 * Each point has the least and the largest value of its time. They are the same until the array is full: then points older
 * than a minute are merged to one a second, and if that is not enough, newer ones too. A spike is never lost.
 * @module view/series
 */

/** Bound on points. An hour of points a second, and a minute at 40 Hz. */
export const MAX_POINTS = 8192;

/** Time that is kept, milliseconds. */
const KEPT_MS = 3_600_000;

/** Newest part in which points are kept as they are for as long as possible. */
const FINE_MS = 60_000;
const COARSE_MS = 1_000;
/** Points that may remain after merging. */
const ROOM = (MAX_POINTS * 3) / 4;
const FIRST_WIDTH_MS = 20;
const MAX_WIDTH_MS = 60_000;
const FIRST_CAPACITY = 64;

export class Series {
  length = 0;
  /** Milliseconds since the epoch, ascending. */
  at = new Float64Array(FIRST_CAPACITY);
  /** Least and largest value of each point, for each line; NaN for none. @type {Float64Array[]} */
  low = [];
  /** @type {Float64Array[]} */
  high = [];

  get lines() {
    return this.low.length;
  }

  /** Add a line, which has no values so far. */
  addLine() {
    this.low.push(new Float64Array(this.at.length).fill(NaN));
    this.high.push(new Float64Array(this.at.length).fill(NaN));
  }

  /**
   * Remove the values of a line.
   * @param {number} line
   */
  clearLine(line) {
    this.low[line].fill(NaN);
    this.high[line].fill(NaN);
  }

  /**
   * Add a point.
   * @param {number} at milliseconds since the epoch, not before the previous one
   * @param {ArrayLike<number>} values of the lines; NaN for none
   */
  push(at, values) {
    this.#makeRoom();
    this.#set(this.length, at, values);
    this.length += 1;
  }

  /**
   * Add a point at its place, after those of the same time. Newer points move: it is cheap only if they are few.
   * @param {number} at milliseconds since the epoch
   * @param {ArrayLike<number>} values of the lines; NaN for none
   */
  insert(at, values) {
    this.#makeRoom();
    let index = this.length;
    while (index > 0 && this.at[index - 1] > at) index -= 1;
    for (const array of [this.at, ...this.low, ...this.high]) array.copyWithin(index + 1, index, this.length);
    this.#set(index, at, values);
    this.length += 1;
  }

  /**
   * Interrupt every line: what follows is not connected to what was before.
   * @param {number} [next] time of what follows, if it is known: then the break is halfway to it
   */
  interrupt(next) {
    if (this.length === 0 || this.isBreak(this.length - 1)) return;
    const last = this.at[this.length - 1];
    this.push(next === undefined ? last : (last + next) / 2, []);
  }

  /**
   * Return whether no line has a value at a point.
   * @param {number} index
   */
  isBreak(index) {
    return this.low.every((values) => Number.isNaN(values[index]));
  }

  /**
   * Find the first point that is not older than a moment.
   * @param {number} at milliseconds since the epoch
   * @returns {number} its index; the length if there is none
   */
  since(at) {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.at[middle] < at) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /**
   * Find the first point that is newer than a moment.
   * @param {number} at milliseconds since the epoch
   * @returns {number} its index; the length if there is none
   */
  until(at) {
    let index = this.since(at);
    while (index < this.length && this.at[index] === at) index += 1;
    return index;
  }

  /** Remove all points. */
  clear() {
    this.length = 0;
  }

  #makeRoom() {
    if (this.length === MAX_POINTS) this.#compact();
    if (this.length === this.at.length) this.#grow();
  }

  /**
   * @param {number} index
   * @param {number} at
   * @param {ArrayLike<number>} values
   */
  #set(index, at, values) {
    this.at[index] = at;
    for (let line = 0; line < this.lines; line += 1) {
      const value = values[line] ?? NaN;
      this.low[line][index] = value;
      this.high[line][index] = value;
    }
  }

  #grow() {
    const grown = (/** @type {Float64Array} */ old) => {
      const array = new Float64Array(Math.min(old.length * 2, MAX_POINTS)).fill(NaN);
      array.set(old);
      return array;
    };
    this.at = grown(this.at);
    this.low = this.low.map(grown);
    this.high = this.high.map(grown);
  }

  #compact() {
    const newest = this.at[this.length - 1];
    this.#drop(this.since(newest - KEPT_MS));
    this.#merge(newest - FINE_MS, COARSE_MS);
    for (let width = FIRST_WIDTH_MS; this.length > ROOM && width <= MAX_WIDTH_MS; width *= 2) this.#merge(Infinity, width);
    // Values and gaps that alternate cannot be merged.
    if (this.length > ROOM) this.#drop(this.length - ROOM);
  }

  /** @param {number} count oldest points to remove */
  #drop(count) {
    for (const array of [this.at, ...this.low, ...this.high]) array.copyWithin(0, count, this.length);
    this.length -= count;
  }

  /**
   * Merge points into one for each width of time. A gap stays a gap.
   * @param {number} until milliseconds since the epoch; newer points stay as they are
   * @param {number} width milliseconds
   */
  #merge(until, width) {
    let kept = -1;
    let bucket = NaN;
    let wasBreak = false;
    for (let index = 0; index < this.length; index += 1) {
      const isBreak = this.isBreak(index);
      const own = this.at[index] < until ? Math.floor(this.at[index] / width) : NaN;
      if (own === bucket && isBreak === wasBreak) this.#join(kept, index);
      else this.#move((kept += 1), index);
      bucket = own;
      wasBreak = isBreak;
    }
    this.length = kept + 1;
  }

  /**
   * @param {number} to
   * @param {number} from
   */
  #move(to, from) {
    for (const array of [this.at, ...this.low, ...this.high]) array[to] = array[from];
  }

  /**
   * @param {number} to
   * @param {number} from
   */
  #join(to, from) {
    for (let line = 0; line < this.lines; line += 1) {
      const [low, high] = [this.low[line], this.high[line]];
      // NaN is neither less nor more.
      if (Number.isNaN(low[to]) || low[from] < low[to]) low[to] = low[from];
      if (Number.isNaN(high[to]) || high[from] > high[to]) high[to] = high[from];
    }
  }
}
