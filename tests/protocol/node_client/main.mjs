// Follow a server over both transports, through a cut of each, and print the ledgers as JSON.
// Run: node main.mjs URL. The server needs --lab, and nothing else may be published meanwhile.
import { connect, post } from "./connection.mjs";
import { Ledger } from "./ledger.mjs";

const base = process.argv[2];

/** A client over one transport: its ledger lasts, its connection does not. */
class Follower {
  ledger = new Ledger();

  /**
   * @param {"websocket" | "sse"} transport
   * @param {string} [position] where it begins
   */
  constructor(transport, position) {
    this.transport = transport;
    this.ledger.position = position;
  }

  /** Connect, at first or again; resolve with the text of the welcome. */
  async open() {
    this.connection = connect(this.transport, base, this.ledger.position);
    return (await this.until((message) => message.client !== undefined)).message;
  }

  /** Enter what arrives, up to the message that is looked for; resolve with that one. */
  async until(isIt) {
    for (;;) {
      const { value: message, done } = await this.connection.messages.next();
      if (done) throw new Error(`${this.transport}: the connection ended`);
      this.ledger.add(message);
      if (isIt(message)) return message;
    }
  }

  /** Enter what arrives, up to a position. */
  async reach(position) {
    if (this.ledger.position !== position) await this.until((message) => message.id === position);
  }

  /** Send a text; resolve with the reply of a producer. */
  async ask(text, producer) {
    await this.connection.send(text);
    return (await this.until((message) => message.producer === producer)).message;
  }

  /** Let the server cut the connection, and enter what arrives until then. */
  async cut() {
    const answer = await this.ask(control({ break: "cut" }), "rtdemo");
    for await (const message of this.connection.messages) this.ledger.add(message);
    return answer;
  }
}

const control = (change) => JSON.stringify({ rtdemo: change });
const all = (followers, what) => Promise.all(followers.map(what));

/** Publish twenty values as a list; resolve with their positions. */
async function publish(first, key) {
  const messages = Array.from({ length: 20 }, (_, index) => ({ value: first + index, producer: "news" }));
  const headers = { "Content-Type": "application/json", "Idempotency-Key": key };
  return JSON.parse(await post(new URL("api/publish", base), JSON.stringify(messages), headers)).positions;
}

/** Publish twenty texts as lines; resolve with how many were published, and the last position. */
async function publishLines() {
  const body = Array.from({ length: 20 }, (_, index) => `{"message": "line ${index}"}\n`).join("");
  return JSON.parse(await post(new URL("api/publish", base), body, { "Content-Type": "application/x-ndjson" }));
}

const followers = [new Follower("websocket"), new Follower("sse")];
const welcomes = await all(followers, (each) => each.open());
const echoes = await all(followers, (each) => each.ask("hello", "echo"));
const controls = await all(followers, (each) => each.ask(control({ speed: 2 }), "rtdemo"));
const before = await publish(0, "before the cut");
await all(followers, (each) => each.reach(before.at(-1)));

const cuts = await all(followers, (each) => each.cut());
const during = await publish(20, "during the cut");
const again = await publish(20, "during the cut");
await all(followers, (each) => each.open());
const lines = await publishLines();
await all(followers, (each) => each.reach(lines.last));

// A position of one transport is valid on the other; one of another log is reported.
const crossed = new Follower("sse", before[0]);
await crossed.open();
await crossed.reach(lines.last);
const lost = new Follower("websocket", "another-1");
await lost.open();
await lost.until((message) => message.producer === "resume");

const server = await (await fetch(new URL("api/stats", base))).json();
for (const each of [...followers, crossed, lost]) each.connection.close();
const ledgers = Object.fromEntries(followers.map((each) => [each.transport, each.ledger]));
const published = { before, during, again, lines };
console.log(JSON.stringify({ welcomes, echoes, controls, cuts, published, ledgers, crossed, lost, server }, hide));

/** Leave out what is not data. */
function hide(key, value) {
  return key === "connection" ? undefined : value;
}
