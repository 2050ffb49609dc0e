import type { CursorStore } from "./index.d.ts";

/** Keeps the cursor in a file, which holds the old or the new one after any crash, never half of one. */
export function fileStore(path: string | URL): CursorStore;
