// A device that drops every other frame as long as more than four cameras play: BASE. There are `live/cam1` to `live/cam16`, each
// with a key frame every 2 s.

import { check, openPage, pause, run, until } from "./common.mjs";

const MOST = 4;
const SLOW = "Key frames only: this device can't decode more at once";

run(async (base) => {
  const { browser, page, problems } = await openPage(base, "/healthz", { viewport: { width: 1920, height: 1080 } });
  await page.addInitScript((most) => {
    const { getVideoPlaybackQuality } = HTMLVideoElement.prototype;
    HTMLVideoElement.prototype.getVideoPlaybackQuality = function () {
      const { totalVideoFrames } = getVideoPlaybackQuality.call(this);
      const playing = [...document.querySelectorAll("#live video")].filter((video) => !video.paused).length;
      this.dropped = (this.dropped ?? 0) + (playing > most ? (totalVideoFrames - (this.counted ?? 0)) / 2 : 0);
      this.counted = totalVideoFrames;
      return { totalVideoFrames, droppedVideoFrames: Math.floor(this.dropped) };
    };
  }, MOST);
  await page.goto(base);
  await page.waitForSelector("#live li:nth-child(16)");
  const slow = () => page.$$eval("#live li", (all, words) => all.map((one) => one.querySelector(".hint").textContent === words), SLOW);
  await until("it to notice", async () => (await slow()).filter((one) => !one).length <= MOST, 90);
  const which = await slow();
  check(which.indexOf(true) === which.filter((one) => !one).length, `the first ones play on: ${which}`);
  const last = "#live li:nth-child(16)";
  const label = await page.getAttribute(`${last} button`, "aria-label");
  check(label.replaceAll("\u00a0", " ").includes(SLOW), `its name says so as well: ${label}`);

  // Frames of a video are told apart by their times.
  await until("a first key frame", () => page.$eval(`${last} video`, (video) => video.videoWidth === 640 && video.currentTime > 0));
  const seen = new Set();
  // On a busy machine each question takes a while, so time is counted and not the questions.
  const started = performance.now();
  while (performance.now() - started < 6500) {
    seen.add(await page.$eval(`${last} video`, (video) => video.currentTime));
    await pause(100);
  }
  const times = [...seen];
  check(times.length >= 3 && times.length <= 5, `in 6.5 s key frames at ${times}`);
  times.slice(1).forEach((time, i) => check(Math.abs(time - times[i] - 2) < 0.1, `key frames at ${times}`));
  const playing = await page.$eval("#live video", (video) => !video.paused);
  check(playing, "the first camera plays");
  check(problems.length === 0, problems.join("\n"));
  await browser.close();
});
