// What one client received over all its connections, and what docs/protocol.md makes of it.

/** Positions of shared messages, texts of private ones, and every departure from the promised order. */
export class Ledger {
  /** @type {string | undefined} */
  position;
  /** @type {string[]} */
  shared = [];
  /** @type {string[]} */
  faults = [];
  losses = 0;
  connections = 0;
  #next = new Map();

  /** Enter a message. */
  add(message) {
    if (message.client !== undefined) this.#begin(message);
    if (message.producer === "resume") this.losses += message.lost ? 1 : 0;
    else if (message.id !== undefined && message.client === undefined) this.#addShared(message);
    else if (message.seq !== undefined) this.#addPrivate(message);
    this.position = message.id ?? this.position;
  }

  /** A new connection continues where the last one ended, and counts private messages from 1 again. */
  #begin(welcome) {
    this.connections += 1;
    this.#next.clear();
    // Without a position, the one that was asked for is not in the log: `resume` follows.
    if (this.position !== undefined && welcome.id !== undefined) {
      this.#expect("welcome at", welcome.id, this.position);
    }
  }

  /** Offsets have no gaps, for a client that picks no producers. */
  #addShared(message) {
    if (message.producer === "rtdemo") return; // The position alone has moved on.
    this.#expect("shared message", message.id, after(this.position));
    this.shared.push(message.id);
  }

  #addPrivate({ producer, seq }) {
    this.#expect(`seq of ${producer}`, seq, this.#next.get(producer) ?? 1);
    this.#next.set(producer, seq + 1);
  }

  #expect(what, got, wanted) {
    if (got !== wanted) this.faults.push(`${what}: ${got} instead of ${wanted}`);
  }
}

/** @param {string} position */
function after(position) {
  const [, epoch, offset] = /^(.*)-(\d+)$/.exec(position);
  return `${epoch}-${Number(offset) + 1}`;
}
