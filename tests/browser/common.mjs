// What all browser tests need: a browser that tells on its page, a camera that shows the time, and patience.

import { spawn } from "node:child_process";
import { randomFillSync } from "node:crypto";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

/** Ends the test with a reason. */
export function fail(reason) {
  throw new Error(reason);
}

export function check(condition, reason) {
  if (!condition) fail(reason);
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Asks until the answer is neither false nor undefined nor an error. */
export async function until(what, ask, seconds = 20) {
  const end = Date.now() + seconds * 1000;
  let last;
  while (Date.now() < end) {
    try {
      last = await ask();
      if (last) return last;
    } catch (error) {
      last = error;
    }
    await pause(100);
  }
  return fail(`waited ${seconds} s for ${what}; the last answer was ${last}`);
}

/** What waits for the next line on standard input: that is how a test tells its script to go on. */
export function lineReader() {
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  return () => lines.next();
}

/** Lets timers of so many milliseconds never end: what they would bring about has to come of something else. */
export function stopTimers(page, least, most) {
  return page.evaluate(([least, most]) => {
    const { setTimeout } = window;
    window.setTimeout = (job, ms, ...rest) => (least <= ms && ms <= most ? 0 : setTimeout(job, ms, ...rest));
  }, [least, most]);
}

/** Opens a page in a browser of its own; `problems` collects what a page must never do. */
export async function openPage(base, path = "/", options = {}) {
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  const args = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required", "--disable-dev-shm-usage"];
  const browser = await chromium.launch({ executablePath, args });
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
  const page = await context.newPage();
  const problems = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) problems.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => problems.push(`uncaught: ${error}`));
  page.on("dialog", (dialog) => {
    problems.push(`a dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(base) && !url.startsWith("blob:") && !url.startsWith("data:")) problems.push(`asked for ${url}`);
  });
  await page.goto(base + path);
  return { browser, page, problems };
}

/** What a video element does, found by a selector within the page. */
export function videoState(page, selector) {
  return page.$eval(selector, (video) => ({
    time: video.currentTime,
    width: video.videoWidth,
    height: video.videoHeight,
    frames: video.getVideoPlaybackQuality().totalVideoFrames,
    audioBytes: video.webkitAudioDecodedByteCount,
    paused: video.paused,
    error: video.error?.message,
  }));
}

/** Waits until a video has gone on for a while, and returns what it does then. */
export async function plays(page, selector, seconds = 20) {
  const start = await until(`${selector} to have a video frame`, async () => {
    const state = await videoState(page, selector);
    return state.width > 0 && state.frames > 0 && state;
  }, seconds);
  return until(`${selector} to go on`, async () => {
    const state = await videoState(page, selector);
    return state.time > start.time + 1 && state.frames > start.frames + 5 && state;
  }, seconds);
}

/** Bits of the clock, and how wide each is in the video frame. */
const BITS = 32;
const BLOCK = 20;
const [WIDTH, HEIGHT] = [BITS * BLOCK, 360];

/**
 * Pushes video frames that show when they were made: the low bits of the time in milliseconds, each a block. A stream
 * of so many kbit/s has noise below them.
 */
export function clockCamera(url, rate = 25, { gop = rate, kbits } = {}) {
  const input = `-f rawvideo -pix_fmt gray -video_size ${WIDTH}x${HEIGHT} -framerate ${rate} -use_wallclock_as_timestamps 1 -i -`;
  const coding = `-c:v libx264 -preset ultrafast -tune zerolatency -pix_fmt yuv420p -g ${gop}`
    + (kbits ? ` -b:v ${kbits}k -maxrate ${kbits}k -bufsize ${kbits / 2}k` : "");
  const options = `-v error -fflags nobuffer -probesize 32 ${input} ${coding} -flush_packets 1 -f flv`;
  const ffmpeg = spawn("ffmpeg", [...options.split(" "), url], { stdio: ["pipe", "inherit", "inherit"] });
  ffmpeg.stdin.on("error", () => {});
  const image = Buffer.alloc(WIDTH * HEIGHT, 128);
  const timer = setInterval(() => {
    const now = Date.now() % 2 ** BITS;
    for (let bit = 0; bit < BITS; bit++) {
      const level = Math.floor(now / 2 ** bit) % 2 ? 235 : 16;
      for (let y = 0; y < 60; y++) image.fill(level, y * WIDTH + bit * BLOCK, y * WIDTH + (bit + 1) * BLOCK);
    }
    if (kbits) randomFillSync(image, 100 * WIDTH, 40 * WIDTH);
    // What ffmpeg does not take at once would be late.
    if (ffmpeg.stdin.writableLength === 0) ffmpeg.stdin.write(image);
  }, 1000 / rate);
  return {
    stop() {
      clearInterval(timer);
      ffmpeg.kill("SIGKILL");
    },
  };
}

/** Video frames that a video shows, so many or for so many seconds: when, and how old they are, in milliseconds. */
export function shownFrames(page, selector, { count = Infinity, seconds = 1e6 }) {
  return page.$eval(selector, (video, { count, seconds, BITS, BLOCK }) => new Promise((resolve) => {
    const canvas = document.createElement("canvas");
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const found = [];
    const look = () => {
      const now = Date.now() % 2 ** BITS;
      [canvas.width, canvas.height] = [video.videoWidth, 60];
      context.drawImage(video, 0, 0, video.videoWidth, 60, 0, 0, video.videoWidth, 60);
      let shown = 0;
      for (let bit = 0; bit < BITS; bit++) {
        const [level] = context.getImageData((bit + 0.5) * BLOCK, 30, 1, 1).data;
        if (level > 128) shown += 2 ** bit;
      }
      found.push({ at: now, age: now - shown });
      if (found.length < count) video.requestVideoFrameCallback(look);
      else resolve(found);
    };
    video.requestVideoFrameCallback(look);
    if (seconds < 1e6) setTimeout(() => resolve(found), seconds * 1000);
  }), { count: Math.min(count, 1e9), seconds, BITS, BLOCK });
}

/** How old the video frames are that a video shows, in milliseconds, as so many of them are shown. */
export async function ages(page, selector, count) {
  return (await shownFrames(page, selector, { count })).map((frame) => frame.age);
}

/** For how long a video stood still in all, and how long at once, in milliseconds; 200 ms don't count. */
export function still(frames, end) {
  const times = [...frames.map((frame) => frame.at), end];
  const waits = times.slice(1).map((time, index) => time - times[index]);
  const sum = waits.reduce((sum, wait) => sum + Math.max(0, wait - 200), 0);
  return { still: sum, longest: Math.max(0, ...waits) };
}

/** Median and 95 %. */
export function percentiles(values) {
  const sorted = [...values].sort((one, other) => one - other);
  const at = (share) => sorted[Math.round((sorted.length - 1) * share)];
  return { p50: at(0.5), p95: at(0.95) };
}

/** Runs a test with the arguments of the program and says how it went. */
export async function run(test) {
  try {
    await test(...process.argv.slice(2));
  } catch (error) {
    console.error(`FAILED: ${error.stack ?? error}`);
    process.exit(1);
  }
  process.exit(0);
}
