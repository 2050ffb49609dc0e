const KEY = "livereferrals.renewed";

/**
 * Whether the page shall be loaded anew. For new files once: while a deploy is under way, an old server may answer the
 * reload and a new one hold the socket, and the page would go round and round.
 *
 * @param {{ assets?: string }} message - what files the server has; none where something else has changed
 * @param {Pick<Storage, "getItem" | "setItem">} store - the tab's own
 */
export function isDue({ assets }, store) {
  if (assets === undefined) return true;
  if (store.getItem(KEY) === assets) return false;
  store.setItem(KEY, assets);
  return true;
}
