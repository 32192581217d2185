// H.264 with MP3, which Chromium does not take in MP4: BASE. There are `live/mp3` and the file `mp3`, a minute long.

import { check, openPage, pause, plays, run, until, videoState } from "./common.mjs";

/** By how many seconds the ends of what is buffered of both tracks differ. */
const apart = (page) => page.evaluate(() => {
  const [one, other] = window.buffers.slice(-2).map(({ buffered }) => buffered.end(buffered.length - 1));
  return Math.abs(one - other);
});

run(async (base) => {
  const { browser, page, problems } = await openPage(base, "/healthz");
  await page.addInitScript(() => {
    window.buffers = [];
    const { addSourceBuffer } = MediaSource.prototype;
    MediaSource.prototype.addSourceBuffer = function (type) {
      const buffer = addSourceBuffer.call(this, type);
      window.buffers.push(buffer);
      return buffer;
    };
  });
  for (const name of ["live/mp3", "gortmp/mp3"]) {
    await page.goto(`${base}/?${name}#${name}`);
    const { audioBytes } = await plays(page, "#large-video");
    check(audioBytes > 0, `${name} has audio`);
    check(!(await page.isVisible("#large-hint")), `${name}: nothing is missing: ${await page.textContent("#large-hint")}`);
    for (let i = 0; i < 4; i++) {
      await pause(1000);
      const off = await apart(page);
      // Frames of audio come with the video frame behind them.
      check(off < 0.12, `${name}: audio and video are ${off.toFixed(3)} s apart`);
    }
  }
  await page.$eval("#large-video", (video) => { video.currentTime = 40; });
  await until("it to play from 40 s", async () => {
    const { time } = await videoState(page, "#large-video");
    return time > 40.5 && time < 45;
  });
  const ranges = await page.evaluate(() => window.buffers.slice(-2).map(({ buffered }) => {
    const { currentTime } = document.getElementById("large-video");
    const at = Array.from({ length: buffered.length }, (_, i) => i).find((i) => buffered.end(i) > currentTime);
    return [buffered.start(at), buffered.end(at)];
  }));
  check(Math.abs(ranges[0][1] - ranges[1][1]) < 0.2, `behind the seek there are ${JSON.stringify(ranges)}`);
  check(problems.length === 0, problems.join("\n"));
  await browser.close();
});
