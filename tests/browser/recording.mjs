// A file: BASE NAME, a minute long.

import { check, openPage, plays, run, until, videoState } from "./common.mjs";

run(async (base, name) => {
  const { browser, page, problems } = await openPage(base, `/#gortmp/${name}`);
  const start = await plays(page, "#large-video");
  check(start.time < 15, "it begins at the beginning");
  const length = await page.$eval("#large-video", (video) => video.duration);
  check(Math.abs(length - 60) < 1, `it is ${length} s long`);
  for (const target of [45, 10, 30.5]) {
    await page.$eval("#large-video", (video, time) => { video.currentTime = time; }, target);
    const { frames } = await videoState(page, "#large-video");
    const there = await until(`it to play from ${target} s`, async () => {
      const state = await videoState(page, "#large-video");
      return state.time > target + 0.5 && state.time < target + 10 && state.frames > frames + 5 && state;
    });
    check(!there.error, there.error);
  }
  await page.$eval("#large-video", (video) => video.pause());
  const { time } = await videoState(page, "#large-video");
  await new Promise((resolve) => setTimeout(resolve, 1500));
  check((await videoState(page, "#large-video")).time === time, "it stands still");
  await page.$eval("#large-video", (video) => { video.currentTime = 58; video.play().catch(() => {}); });
  await until("its end", () => page.$eval("#large-video", (video) => video.ended));
  check(problems.length === 0, problems.join("\n"));
  await browser.close();
});
