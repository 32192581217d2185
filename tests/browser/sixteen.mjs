// A wall of sixteen cameras of 640×360 on a large screen: BASE. They are `live/cam1` to `live/cam16`.

import { check, openPage, pause, run, until } from "./common.mjs";

const times = (page) => page.$$eval("#live video", (all) => all.map((video) => video.currentTime));

const hints = (page) => page.$$eval("#live .hint", (all) => all.map((one) => one.textContent));

run(async (base) => {
  const { browser, page, problems } = await openPage(base, "/", { viewport: { width: 1920, height: 1080 } });
  await page.waitForSelector("#live li:nth-child(16)");
  const names = await page.$$eval("#live .name", (all) => all.map((one) => one.textContent));
  const counted = Array.from({ length: 16 }, (_, i) => `live/cam${i + 1}`);
  check(names.join() === counted.join(), `cameras stand as people count: ${names}`);

  await until("all cameras to be seen", () => page.$$eval("#live video", (all) => all.every((video) => video.videoWidth === 640)), 40);
  await pause(5000);
  const before = await times(page);
  await pause(8000);
  const after = await times(page);
  // A machine that is busy with other things shows key frames of some; the other cameras play.
  const slow = (await hints(page)).map((hint) => hint.startsWith("Key frames only"));
  const went = after.map((time, i) => time - before[i]);
  went.forEach((seconds, i) => check(seconds > (slow[i] ? 3 : 6), `${names[i]} went on by ${seconds.toFixed(2)} s of 8`));
  const moving = slow.filter((one) => !one).length;
  check(moving >= 9, `only ${moving} cameras move`);
  console.log(`${moving} of 16 cameras move, by ${Math.min(...went).toFixed(1)} to ${Math.max(...went).toFixed(1)} s of 8`);
  check(problems.length === 0, problems.join("\n"));
  await browser.close();
});
