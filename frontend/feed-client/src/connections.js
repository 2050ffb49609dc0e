import { PollConnection, StreamConnection } from "./requests.js";
import { SocketConnection } from "./sockets.js";

/**
 * One connection, whatever carries it.
 *
 * @typedef {object} Connection
 * @property {Promise<unknown>} opened - rejects with `Dropped` where it can tell
 * @property {() => Promise<any>} receive - the next message; rejects with `Dropped` when the connection is over
 * @property {(cursor: string) => void} acknowledge
 * @property {() => void} close
 *
 * @typedef {object} Opening
 * @property {string} address - without the transport's name
 * @property {Record<string, string>} query
 * @property {string} [token]
 * @property {string} [ticket]
 */

const KINDS = { ws: SocketConnection, sse: StreamConnection, poll: PollConnection };

/** @typedef {keyof typeof KINDS} Kind */

/**
 * @param {Kind} kind
 * @param {Opening} opening
 * @returns {Connection}
 */
export const open = (kind, opening) => new KINDS[kind](opening);
