// @ts-check
/**
 * Reads the table that the server has written into the page: the newest message and the description of each producer.
 * @module view/first_paint
 */
import { parse } from "../message.js";

/** @typedef {import("../message.js").Message} Message */
/** @typedef {import("./producer_data.js").Description} Description */

/**
 * Return what the table's rows have. A long message is not in its row: it comes with the connection.
 * @param {Element | null} table
 * @returns {{ message: Message, description: Description }[]}
 */
export function readFirstPaint(table) {
  const rows = /** @type {HTMLElement[]} */ ([...(table?.querySelectorAll("tbody tr") ?? [])]);
  return rows.flatMap(({ dataset }) => {
    const message = parse(dataset.message);
    return message === null ? [] : [{ message, description: JSON.parse(dataset.description ?? "") }];
  });
}
