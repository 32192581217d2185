// A telephone whose program goes into the background: BASE. Says `playing`, waits for a line on standard input, which is sent
// when there is no more video, says `playing audio`, waits for a line again, and for the video to be back.

import { check, lineReader, openPage, pause, plays, run, until, videoState } from "./common.mjs";

const NO_VIDEO = "No video from the camera";

/** What a large player does in so many seconds. */
async function watch(page, seconds) {
  const before = await videoState(page, "#large-video");
  await pause(seconds * 1000);
  const after = await videoState(page, "#large-video");
  // Without its video it is another source, whose counters begin anew.
  return { went: after.time - before.time, hasAudio: after.audioBytes > 0 && after.audioBytes !== before.audioBytes, frames: after.frames };
}

run(async (base) => {
  const nextLine = lineReader();
  const { browser, page, problems } = await openPage(base, "/#live/cam");
  await plays(page, "#large-video");
  console.log("playing");
  await nextLine();
  const began = await videoState(page, "#large-video");
  await until("it to say so", async () => (await page.textContent("#large-hint")) === NO_VIDEO);
  check(await page.isVisible("#large-hint"), "it is seen");
  check((await page.textContent("#status")) === NO_VIDEO, "and read out");
  await pause(1000);
  const { went, hasAudio } = await watch(page, 5);
  check(went > 4 && hasAudio, `audio goes on: ${went.toFixed(2)} s of 5, audio: ${hasAudio}`);
  const now = await videoState(page, "#large-video");
  check(now.time > began.time + 4, `there was no long break: ${(now.time - began.time).toFixed(2)} s`);
  const background = await page.$eval("#large-video", (video) => video.style.background);
  check(background.includes("data:image/jpeg"), "its last frame is still there");

  // Who comes now has audio soon. What takes the rest of the time is the browser's start.
  const other = await browser.newPage();
  await other.addInitScript(() => {
    addEventListener("timeupdate", ({ target }) => {
      if (target.currentTime > 0 && !target.paused && target.webkitAudioDecodedByteCount > 0) window.hasAudioAt ??= performance.now();
    }, true);
    window.WebSocket = class extends WebSocket {
      constructor(...rest) {
        super(...rest);
        window.askedAt ||= performance.now();
      }
    };
  });
  await other.goto(`${base}/#live/cam`);
  await until("the other one to have audio", () => other.evaluate(() => window.hasAudioAt));
  const took = await other.evaluate(() => window.hasAudioAt - window.askedAt);
  console.error(`who came meanwhile had audio after ${Math.round(took)} ms`);
  check(took < 2000, `it took ${Math.round(took)} ms`);
  await until("it to say so as well", async () => (await other.textContent("#large-hint")) === NO_VIDEO);
  await other.goto(base);
  await until("its tile to say so", async () => (await other.textContent("#live .hint")) === NO_VIDEO);
  check((await other.textContent("#live .note")) === "", "and nothing else");
  await other.close();

  console.log("playing audio");
  await nextLine();
  await until("the video to be back", async () => {
    const { width, frames } = await videoState(page, "#large-video");
    return width > 0 && frames > 10 && (await page.textContent("#large-hint")) === "";
  });
  const last = await watch(page, 3);
  check(last.went > 2 && last.hasAudio, `it goes on with both: ${last.went.toFixed(2)} s of 3`);
  check((await page.$eval("#large-video", (video) => video.style.background)) === "", "nothing is left behind it");
  check(problems.length === 0, problems.join("\n"));
  await browser.close();
});
