/** What somebody's link brought: one following of it. */
export interface HitData {
  hit: string;
  visitor: string | null;
  repeat: boolean;
  click_id: string | null;
  subs: (string | null)[];
  landing: string | null;
  referrer_host: string | null;
  device: "desktop" | "mobile" | "tablet" | "other" | null;
}

/** A visitor logged in. */
export interface ClaimData {
  visitor: string | null;
  user: string | null;
  hits: number;
}

/** A success. `amount` is a decimal number as text. */
export interface ConfirmationData {
  confirmation: string;
  trigger: string;
  hit: string | null;
  visitor: string | null;
  user: string | null;
  click_id: string | null;
  subs: (string | null)[];
  reference: string | null;
  amount: string | null;
  currency: string | null;
}

/** A success taken back, in whole or in part. */
export interface ReversalData {
  confirmation: string;
  trigger: string;
  reference: string | null;
  click_id: string | null;
  subs: (string | null)[];
  reason: string | null;
  amount: string | null;
  currency: string | null;
  partial: boolean;
}

/** What became of a callback, or of its endpoint. */
export interface DeliveryData {
  delivery: string | null;
  confirmation: string | null;
  trigger: string | null;
  outcome: string;
  reason: string | null;
  attempt: number | null;
  status: number | null;
  next_at: string | null;
}

/** What all events have. */
export interface EventOf<Type extends string, Data> {
  /** 1. Events of a later version, and of types that are not listed here, are handed out as they came. */
  v: number;
  /** Its place in the log. A text; do not put its number in a `number`. */
  cursor: string;
  /** UUID; the key to spot an event that comes twice. */
  id: string;
  type: Type;
  /** When it happened, RFC 3339; not in the order of cursors. */
  time: string;
  partner: string | null;
  link: { id: string; identifier: string } | null;
  data: Data;
}

export type HitEvent = EventOf<"hit", HitData>;
export type ClaimEvent = EventOf<"claim", ClaimData>;
export type ConfirmationEvent = EventOf<"confirmation", ConfirmationData>;
export type ReversalEvent = EventOf<"reversal", ReversalData>;
export type DeliveryEvent = EventOf<"delivery", DeliveryData>;
export type FeedEvent = HitEvent | ClaimEvent | ConfirmationEvent | ReversalEvent | DeliveryEvent;

/** Events that can no longer be given: everything after `from`, up to and including `to`. */
export interface Gap {
  reason: "cursor_too_old" | "other_epoch" | (string & {});
  from: string | null;
  to: string;
}

export type State = "idle" | "connecting" | "greeting" | "catching_up" | "live" | "waiting" | "stopped";
export type Transport = "auto" | "ws" | "sse" | "poll";

/** Where the cursor is kept. */
export interface CursorStore {
  load(): string | null | undefined | Promise<string | null | undefined>;
  save(cursor: string): void | Promise<void>;
}

/** The client's own numbers. */
export interface Timing {
  /** How long a connection may take until its `hello`. */
  helloMs: number;
  /** Heartbeats that may be missing. */
  silence: number;
  /** The first wait is at most this long; each failure doubles it. */
  baseMs: number;
  /** No wait that the server does not ask for is longer. */
  capMs: number;
  /** Live for this long, and the next wait begins at `baseMs` again. */
  steadyMs: number;
}

export interface FeedOptions {
  /** `https://shop.example/referrals/feed/v1`; in a page also a path. */
  url: string | URL;
  /** The feed token, for servers. It is sent in a header, so not over a WebSocket. */
  token?: string;
  /** Fetches a ticket from your own server, for browsers; called for each connection. */
  getTicket?: () => string | Promise<string>;
  /** By default in memory, which forgets it when the page or program ends. */
  store?: CursorStore;
  /** Where to begin while the store is empty: `newest` (default), `oldest` or a cursor. */
  start?: "newest" | "oldest" | (string & {});
  /** In place of `start`, a time: begin before the first event from then on. */
  since?: string | Date;
  types?: readonly string[];
  links?: readonly string[];
  /** What to do when events can no longer be had: stop (default), go on from the oldest, or ask you. */
  onGap?: "stop" | "oldest" | ((gap: Gap) => boolean | Promise<boolean>);
  /** `auto`: a WebSocket with a ticket, Server-Sent Events with a token. */
  transport?: Transport;
  /** Ends the feed; the loop ends with its reason. */
  signal?: AbortSignal;
  timing?: Partial<Timing>;
  /** Gives the random numbers from 0 to 1 that spread the reconnects of many clients. */
  random?: () => number;
}

/** How far a program is behind. */
export interface Lag {
  /** Numbers between what is handled and the newest that the server has mentioned; some may be others' events. */
  events: number;
  /** 0 while the feed is live and everything has been handed out. */
  seconds: number;
}

/** Events that belong together. */
export interface Batch<Event = FeedEvent> {
  readonly events: readonly Event[];
  /** Everything up to here is in this batch or in those before it. */
  readonly cursor: string;
  /** Stores the cursor, then acknowledges: this batch and all before it are handled. */
  done(): Promise<void>;
}

/** The feed has ended for good: a program or a person must change something. */
export class FeedStopped extends Error {
  readonly code: string;
  readonly close: number | undefined;
  readonly oldest: string | null;
  readonly newest: string | null;
}

export interface FeedEventMap {
  state: CustomEvent<{ state: State; why: string }>;
  gap: CustomEvent<Gap>;
}

/**
 * Asking for the next event stores and acknowledges the one before; leaving the loop closes the feed, and the event in
 * hand comes again next time, unless `done()` was called.
 */
export interface Feed<Event = FeedEvent> extends EventTarget, AsyncIterable<Event> {
  readonly state: State;
  /** What the store holds. */
  readonly cursor: string | null;
  readonly lag: Lag;
  done(): Promise<void>;
  batches(): AsyncIterable<Batch<Event>>;
  close(): Promise<void>;
  addEventListener<Name extends keyof FeedEventMap>(
    name: Name,
    listener: (event: FeedEventMap[Name]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    name: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
}

/** Follow a feed. Nothing happens until the first event is asked for. */
export function connectFeed(options: FeedOptions): Feed;

/** Keeps the cursor for as long as the object lives. */
export function memoryStore(cursor?: string | null): CursorStore;

/** Keeps the cursor in `localStorage` or `sessionStorage`. */
export function storageStore(storage: Storage, key?: string): CursorStore;
