// A connection that is too weak for all of a stream's video: BASE. The server leaves out the ends of GOPs then and sends all of
// the audio; here the page's own WebSockets do, so that gaps come when they are wanted. There is `live/cam`, with a key frame
// every second.

import { check, openPage, pause, plays, run, until, videoState } from "./common.mjs";

const WEAK = "Weak connection";

/** Makes WebSockets that hand on no video while `window.isWeak`, and from then on not before a key frame. */
function weakSockets() {
  // Where a fragment has its track and its frame's flags, and what these are (ISO/IEC 14496-12 §8.8): one frame in each.
  const [TRACK, FLAGS, VIDEO, NEEDS_OTHERS] = [44, 96, 1, 0x10000];
  let waits = false;
  const isLost = (data) => {
    const view = data instanceof ArrayBuffer && new DataView(data);
    const isVideo = view && view.getUint32(4) === 0x6d6f6f66 && view.getUint32(TRACK) === VIDEO;
    if (!isVideo) return false;
    waits = window.isWeak || (waits && (view.getUint32(FLAGS) & NEEDS_OTHERS) !== 0);
    window.lost = (window.lost ?? 0) + Number(waits);
    return waits;
  };
  window.WebSocket = class extends WebSocket {
    set onmessage(listener) {
      super.onmessage = (message) => isLost(message.data) || listener(message);
    }
  };
}

run(async (base) => {
  const { browser, page, problems } = await openPage(base, "/healthz");
  await page.addInitScript(weakSockets);
  await page.goto(`${base}/#live/cam`);
  await plays(page, "#large-video");
  await pause(4000);
  check((await page.textContent("#large-hint")) === "", "nothing is said of a good connection");
  const before = await videoState(page, "#large-video");
  const began = Date.now();
  let [longest, last, lastAt] = [0, before.time, Date.now()];
  while (Date.now() - began < 8000) {
    await page.evaluate((isWeak) => { window.isWeak = isWeak; }, (Date.now() - began) % 2000 < 700);
    const { time } = await videoState(page, "#large-video");
    if (time !== last) [last, lastAt] = [time, Date.now()];
    longest = Math.max(longest, Date.now() - lastAt);
    await pause(40);
  }
  await page.evaluate(() => { window.isWeak = false; });
  const after = await videoState(page, "#large-video");
  // Busy machines take longer.
  const took = (Date.now() - began) / 1000;
  const [went, lost] = [after.time - before.time, await page.evaluate(() => window.lost)];
  const told = `${lost} frames were lost; went on by ${went.toFixed(2)} s of ${took.toFixed(2)}, stood for ${longest} ms at the most`;
  console.log(told);
  check(lost > 40, told);
  check(went > took * 0.85 && went < took * 1.15 && after.audioBytes > 0, told);
  check(longest < 1500, told);
  await until("it to say so", async () => (await page.textContent("#large-hint")) === WEAK, 5);
  check((await page.textContent("#status")) === WEAK, "it is read out");
  await until("the weak connection to be forgotten", async () => (await page.textContent("#large-hint")) === "", 60);
  const { width, frames } = await videoState(page, "#large-video");
  await until("the video to go on", async () => (await videoState(page, "#large-video")).frames > frames + 10);
  check(width === 320, "the video is there");
  check(problems.length === 0, problems.join("\n"));
  await browser.close();
});
