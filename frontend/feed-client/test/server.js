/**
 * The scripted server of `tests/protocol`, which drives the Python client too. Whoever runs these tests alone starts it
 * beforehand: `FEED_SCENARIO_SERVER=$(python -m tests.protocol.scripted)`.
 */
export const SERVER = process.env.FEED_SCENARIO_SERVER;
export const SKIP = SERVER ? false : "FEED_SCENARIO_SERVER is not set";

/** @param {number | string} place */
export const cursor = (place) => (typeof place === "number" ? `k3f9.${place}` : place);

/**
 * Wait for a condition; the last answer stands where it does not come in time.
 *
 * @param {() => boolean | Promise<boolean>} condition
 * @param {number} [ms]
 */
export async function eventually(condition, ms = Number(process.env.PATIENCE_MS ?? 40_000)) {
  const deadline = Date.now() + ms;
  while (!(await condition()) && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20));
}
