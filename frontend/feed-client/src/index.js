import { Feed } from "./feed.js";

export { FeedStopped } from "./endings.js";
export { memoryStore, storageStore } from "./stores.js";

/**
 * Follow a feed: `for await (const event of connectFeed({ url, token, store })) { ... }`.
 *
 * @param {import("../types/index.d.ts").FeedOptions} options
 * @returns {import("../types/index.d.ts").Feed}
 */
export const connectFeed = (options) => new Feed(options);
