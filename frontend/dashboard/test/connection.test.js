import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";

import { Connection } from "../src/connection.js";
import { FakeSocket } from "./fakes.js";

/** @type {FakeSocket[]} */
let sockets;
/** @type {string[]} */
let received;
/** @type {Connection} */
let connection;

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_000_000 });
  sockets = [];
  received = [];
  connection = new Connection({
    open: () => {
      sockets.push(new FakeSocket());
      return newest();
    },
    receive: (text) => received.push(text),
    report: () => {},
    random: () => 1,
  });
  connection.start();
});

function newest() {
  const socket = sockets.at(-1);
  assert.ok(socket);
  return socket;
}

function greet() {
  newest().open();
  connection.greeted();
}

function open() {
  return sockets.filter((socket) => socket.readyState < 2).length;
}

test("it is live from the greeting on, not from the open", () => {
  newest().open();
  assert.equal(connection.state.stage, "connecting");
  connection.greeted();
  assert.equal(connection.state.stage, "live");
});

// dashboard-13
test("after any row of closes there is one socket", () => {
  for (const code of [1006, 1011, 1012, 4000, 4008, 1006, 1011, 1012, 4000, 4008]) {
    greet();
    newest().end(code);
    assert.equal(open(), 0);
    assert.equal(connection.state.stage, "waiting");
    mock.timers.tick(30_000);
    assert.equal(open(), 1);
  }
  assert.equal(sockets.length, 11);
});

// dashboard-13
test("connecting now does not leave a timer that makes a second socket", () => {
  greet();
  newest().end(1006);
  connection.retry();
  greet();
  mock.timers.tick(40_000);
  assert.equal(sockets.length, 2);
  assert.equal(connection.state.stage, "live");
});

test("a late close or message of an old socket changes nothing", () => {
  const [old] = sockets;
  assert.ok(old);
  connection.park();
  connection.start();
  greet();
  old.receive("late");
  old.end(1006);
  assert.deepEqual(received, []);
  assert.equal(connection.state.stage, "live");
});

test("the back-off doubles while nothing is steady, and begins anew after 10 s of live", () => {
  const waits = [];
  for (let attempt = 0; attempt < 3; attempt++) {
    greet();
    newest().end(1006);
    const wait = connection.state.retryAt - Date.now();
    waits.push(wait);
    mock.timers.tick(wait);
  }
  assert.deepEqual(waits, [500, 1000, 2000]);
  greet();
  for (let second = 0; second < 11; second++) mock.timers.tick(1000);
  newest().end(1006);
  assert.equal(connection.state.retryAt - Date.now(), 500);
});

test("the server's goodbye says when to come back", () => {
  greet();
  connection.leave(3.7);
  newest().end(4000);
  assert.equal(connection.state.retryAt - Date.now(), 3700);
});

// dashboard-14, dashboard-15
for (const code of [4501, 4503]) {
  test(`${code} needs a person: it ends`, () => {
    greet();
    newest().end(code);
    assert.deepEqual([connection.state.stage, connection.state.code], ["ended", code]);
    mock.timers.tick(600_000);
    connection.retry();
    connection.park();
    connection.start();
    assert.equal(open(), 0);
  });
}

test("silence of 45 s is the end, dated to the last word", () => {
  greet();
  newest().receive('{"type":"heartbeat"}');
  const heardAt = Date.now();
  for (let second = 0; second < 45; second++) mock.timers.tick(1000);
  assert.equal(connection.state.stage, "waiting");
  assert.equal(connection.state.lostAt, heardAt);
});

test("heartbeats keep it", () => {
  greet();
  for (let beat = 0; beat < 10; beat++) {
    for (let second = 0; second < 20; second++) mock.timers.tick(1000);
    newest().receive('{"type":"heartbeat"}');
  }
  assert.equal(connection.state.stage, "live");
  assert.equal(sockets.length, 1);
});

test("after sleep the clock tells, before any timer", () => {
  greet();
  mock.timers.setTime(Date.now() + 3_600_000);
  connection.check();
  assert.notEqual(connection.state.stage, "live");
});

test("an upgrade that nobody answers is given up", () => {
  mock.timers.tick(10_000);
  assert.equal(connection.state.stage, "waiting");
  assert.equal(connection.state.misses, 1);
});

// dashboard-18
test("while polling works, sockets are tried every five minutes; when it stops, often", () => {
  newest().end(1006);
  connection.yieldTo(true);
  connection.yieldTo(true);
  assert.equal(connection.state.retryAt - Date.now(), 300_000);
  mock.timers.tick(300_000);
  newest().end(1006);
  assert.equal(connection.state.retryAt - Date.now(), 300_000);
  connection.yieldTo(false);
  assert.ok(connection.state.retryAt - Date.now() <= 30_000);
});

// dashboard-26
test("a parked connection has no socket and no timer", () => {
  greet();
  connection.park();
  assert.equal(open(), 0);
  assert.equal(newest().closedWith, 1000);
  mock.timers.tick(3_600_000);
  assert.equal(sockets.length, 1);
  connection.start();
  assert.equal(sockets.length, 2);
});

test("what is said while nobody listens is not queued", () => {
  connection.send({ type: "ack", cursor: "k3f9.1" });
  greet();
  connection.send({ type: "ack", cursor: "k3f9.2" });
  assert.deepEqual(newest().sent, ['{"type":"ack","cursor":"k3f9.2"}']);
});
