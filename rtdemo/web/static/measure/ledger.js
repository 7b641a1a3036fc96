// @ts-check
/**
 * The ledger of a side: its counts can be cleared, and continue after the page was loaded again.
 * @module measure/ledger
 */
import { Ledger as Counts } from "../client/ledger.js";

export class Ledger extends Counts {
  /** Everything as plain data; setting it continues an earlier ledger. */
  get state() {
    const { missing, repeated, late, reported, unchecked } = this;
    return { counts: { missing, repeated, late, reported, unchecked }, last: [...this.last], gaps: [...this.gaps] };
  }

  set state({ counts, last, gaps }) {
    Object.assign(this, counts);
    this.last = new Map(last);
    this.gaps = new Map(gaps);
  }

  /** Clear the counts and the numbering, which has the names of producers. */
  forgetAll() {
    this.reset();
    this.last.clear();
    this.gaps.clear();
  }

  /** Clear the counts but keep the numbering. A late message of an older gap is then not counted. */
  reset() {
    this.missing = 0;
    this.repeated = 0;
    this.late = 0;
    this.reported = 0;
    this.unchecked = 0;
    for (const key of this.gaps.keys()) this.gaps.set(key, false);
  }
}
