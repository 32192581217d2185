// Cameras of any frame rate, with any audio: BASE and NAME:FRAMES-A-SECOND:SAMPLES-A-SECOND of each live stream, 0 for no audio.
// None may run dry after its first second, nor be far behind.

import { check, openPage, pause, run } from "./common.mjs";

/** What machines that are busy with other tests add, in seconds. */
const BUSY = 0.4;

/** How often it may stand still for being busy. */
const MOST_DRY = 2;

/** Opens the page with a camera large, and waits until it plays. */
async function open(base, camera) {
  const [name, fps, rate] = camera.split(":");
  const opened = await openPage(base, `/#live/${name}`);
  await opened.page.waitForFunction(() => document.getElementById("large-video").currentTime > 0 && !document.getElementById("large-video").paused);
  return { ...opened, fps, rate };
}

/** Holds what it does for ten seconds against what it should. */
async function watch({ browser, page, problems, fps, rate }) {
  const { behind, dry } = await page.$eval("#large-video", async (video) => {
    const [found, stops] = [[], []];
    video.addEventListener("waiting", () => { if (!video.seeking) stops.push(video.currentTime); });
    for (let i = 0; i < 100; i++) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      const { buffered } = video;
      found.push(buffered.end(buffered.length - 1) - video.currentTime);
    }
    return { behind: found.sort((one, other) => one - other)[90], dry: stops };
  });
  const wanted = 0.12 + 1.5 * Math.max(1 / fps, rate > 0 ? 1024 / rate : 0);
  const told = `${fps} frames a second, ${rate} Hz: 90 % at most ${behind.toFixed(3)} s behind (wanted ${wanted.toFixed(3)}), dry at ${dry}`;
  console.log(told);
  check(behind < wanted + BUSY && dry.length <= MOST_DRY, told);
  check(problems.length === 0, problems.join("\n"));
  await browser.close();
}

run(async (base, ...cameras) => {
  for (const camera of cameras) {
    const opened = await open(base, camera);
    await pause(1000);
    await watch(opened);
  }
});
