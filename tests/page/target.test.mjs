// The playback target of the page's live player alone, over arrivals: those in `arrivals/` were recorded in Chromium, each as the time when
// a frame came, its track, up to what time all had come with it, and its length, all in milliseconds.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";

// By its text, since Node takes a file of that name for something else where no package says otherwise.
const text = readFileSync(new URL("../../src/http/page/target.js", import.meta.url));
const { PlaybackTarget } = await import(`data:text/javascript;base64,${text.toString("base64")}`);

const FOLDER = new URL("arrivals/", import.meta.url);

/** From when on a stream may not run dry any more, and is to be near, in milliseconds. */
const SETTLED = 1000;

/** Plays just where the aim says; returns what was left of each track before more came, and how far behind that was. */
function play(rows) {
  const [aim, ends, left, behind] = [new PlaybackTarget(), new Map(), [], []];
  const [began] = rows[0];
  let next = 0;
  for (let now = began; next < rows.length; now += 10) {
    for (; next < rows.length && rows[next][0] <= now; next++) {
      const [at, kind, end, length] = rows[next];
      if (ends.has(kind) && at > began + SETTLED) left.push({ at, kind, seconds: ends.get(kind) / 1000 - aim.target(at / 1000) });
      aim.arrived(kind, end / 1000, length / 1000, at / 1000);
      ends.set(kind, Math.max(ends.get(kind) ?? 0, end));
    }
    if (now > began + SETTLED) behind.push({ now, seconds: Math.min(...ends.values()) / 1000 - aim.target(now / 1000) });
  }
  return { aim, left, behind };
}

const least = (left) => Math.min(...left.map(({ seconds }) => seconds));

function ninth(values) {
  const sorted = values.map(({ seconds }) => seconds).sort((one, other) => one - other);
  return sorted[Math.floor(sorted.length * 0.9)];
}

const wanted = (...lengths) => 0.12 + 1.5 * Math.max(...lengths) / 1000;

/** What a camera sends over an even link: a GOP at once that ends somewhere in a frame, and then frames as they are made. */
function even(fps, audioLength, seconds = 12, late = () => 0) {
  const rows = [];
  const length = 1000 / fps;
  const joined = 2000 + length * 0.3;
  for (let time = 0; time < seconds * 1000; time += length) rows.push([time, "video", time + length, length]);
  for (let time = 7; audioLength && time < seconds * 1000; time += audioLength) {
    rows.push([time, "audio", time + audioLength, audioLength]);
  }
  const came = rows.map(([at, ...rest]) => [Math.max(joined, at) + late(at), ...rest]);
  return came.sort((one, other) => one[0] - other[0] || one[2] - other[2]);
}

for (const fps of [1, 2, 5, 10, 15, 25, 30, 60]) {
  for (const rate of [0, 8000, 16_000, 44_100, 48_000]) {
    test(`${fps} frames a second, ${rate ? `AAC at ${rate} Hz` : "no audio"}, evenly`, () => {
      const audioLength = rate && (1024 / rate) * 1000;
      const { left, behind } = play(even(fps, audioLength));
      assert.ok(least(left) > 0.03, `${least(left)} s are left`);
      const bound = wanted(1000 / fps, audioLength);
      assert.ok(ninth(behind) <= bound, `${ninth(behind)} s behind, with ${bound} s wanted`);
    });
  }
}

for (const name of readdirSync(FOLDER)) {
  test(`recorded: ${name}`, () => {
    const rows = JSON.parse(readFileSync(new URL(name, FOLDER)));
    const { left, behind } = play(rows);
    // What came late has come late once before it is known.
    const dry = left.filter(({ seconds }) => seconds < 0);
    assert.ok(dry.length <= 3, `dry ${JSON.stringify(dry.slice(0, 5))}`);
    const lengths = rows.map(([, , , length]) => length);
    assert.ok(ninth(behind) <= wanted(...lengths) + 0.05, `${ninth(behind)} s behind, with ${wanted(...lengths)} s wanted`);
  });
}

test("jitter is learnt, and forgotten when it is gone", () => {
  // Up to 0.3 s in the first 10 s, in no order that repeats soon; links keep what they carry in order.
  let clock = 0;
  const jitter = (at) => {
    const came = Math.max(clock, at + (at < 10_000 ? (at * 7919) % 300 : 0));
    clock = came;
    return came - at;
  };
  const video = even(25, 0, 60, jitter);
  const { left, behind } = play(video);
  const later = left.filter(({ at }) => at > 4000);
  assert.ok(least(later) >= 0, `${least(later)} s are left`);
  assert.ok(ninth(behind.filter(({ now }) => now > 45_000)) <= wanted(40), "it is near again");
});

test("an outage is no reason to stay behind", () => {
  const gone = (at) => (at > 6000 && at < 9000 ? 9000 - at + (at - 6000) / 10 : 0);
  const { behind } = play(even(25, 1024 / 48, 20, gone));
  const after = behind.filter(({ now }) => now > 9500);
  assert.ok(ninth(after) <= wanted(40) + 0.05, `${ninth(after)} s behind after the outage`);
});

test("a link that is too slow does not draw it away without end", () => {
  const slower = (at) => (at > 4000 ? (at - 4000) / 3 : 0);
  const { aim } = play(even(25, 0, 20, slower));
  const [now, newest] = [20 + 16 / 3, 20];
  assert.ok(newest - aim.target(now) < 1.5, `it aims ${newest - aim.target(now)} s behind the newest`);
});

test("a track that has stopped is waited for no more", () => {
  const { aim } = play(even(25, 1024 / 48, 5));
  for (let at = 5; at < 8; at += 1024 / 48_000) aim.arrived("audio", at + 1024 / 48_000, 1024 / 48_000, at);
  aim.stopped("video");
  assert.ok(8 - aim.target(8) < 0.3);
});

test("holes in the video are no reason to be late with the audio", () => {
  // Every 2 s the server leaves out 0.7 s.
  const rows = even(25, 1024 / 48, 20).filter(([at, kind]) => kind === "audio" || at < 4000 || at % 2000 > 700);
  const { behind } = play(rows);
  const audio = 1024 / 48;
  assert.ok(ninth(behind.filter(({ now }) => now % 2000 > 800)) <= wanted(40, audio) + 0.01);
});
