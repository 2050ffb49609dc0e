// What only Node can do: `import { fileStore } from "@livereferrals/feed-client/node"`.
import { open, readFile, rename, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * Keeps the cursor in a file: written aside, flushed to the disk, put in place.
 *
 * @param {string | URL} path
 * @returns {import("../types/index.d.ts").CursorStore}
 */
export function fileStore(path) {
  const name = path instanceof URL ? fileURLToPath(path) : path;
  const aside = `${name}.${process.pid}.new`;
  return {
    async load() {
      const text = await readFile(name, "ascii").catch((error) => {
        if (error.code === "ENOENT") return "";
        throw error;
      });
      return text.trim() || null;
    },
    async save(cursor) {
      try {
        await write(aside, cursor);
        await rename(aside, name);
      } catch (error) {
        await unlink(aside).catch(() => {}); // it may not be there: the first error is the one to tell
        throw error;
      }
      if (process.platform !== "win32") await flush(dirname(name)); // so that the renaming itself lasts
    },
  };
}

/**
 * @param {string} path
 * @param {string} cursor
 */
async function write(path, cursor) {
  const file = await open(path, "w");
  try {
    await file.writeFile(`${cursor}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** @param {string} path */
async function flush(path) {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
