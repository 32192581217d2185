// The same with hls.js and parts of segments: BASE RTMP-URL MOST-MS.

import { createRequire } from "node:module";
import { ages, check, clockCamera, openPage, percentiles, plays, run, until } from "./common.mjs";

const library = createRequire(import.meta.url).resolve("hls.js/dist/hls.js");

run(async (base, url, most) => {
  const camera = clockCamera(url);
  try {
    const path = `${new URL(url).pathname}/index.m3u8`;
    await until("the camera", async () => (await fetch(base + path)).ok);
    const { browser, page, problems } = await openPage(base, "/healthz", { bypassCSP: true });
    await page.setContent("<video muted></video>");
    await page.addScriptTag({ path: library });
    await page.evaluate((source) => {
      const video = document.querySelector("video");
      const hls = new window.Hls({ lowLatencyMode: true, liveSyncOnStallIncrease: 0.1 });
      window.hls = hls;
      window.trouble = [];
      hls.on(window.Hls.Events.ERROR, (_, { details, fatal }) => {
        if (fatal) window.trouble.push(details);
      });
      hls.loadSource(source);
      hls.attachMedia(video);
      // A call that is cut off by the next one fails; whether the video plays is asked below.
      hls.on(window.Hls.Events.MANIFEST_PARSED, () => video.play().catch(() => {}));
    }, base + path);
    await plays(page, "video", 30);
    // By default hls.js aims a second farther back for each stall, of which starting may be one, and stays where it began
    // as long as it has less than a second in store: this takes it to where it wants to be.
    await page.evaluate(() => {
      const { hls } = window;
      setInterval(() => {
        if (hls.latency > hls.targetLatency + 0.12) document.querySelector("video").currentTime = hls.liveSyncPosition;
      }, 2000);
    });
    await new Promise((resolve) => setTimeout(resolve, 10_000));
    const { p50, p95 } = percentiles(await ages(page, "video", 150));
    console.log(`with hls.js: p50 ${p50} ms, p95 ${p95} ms`);
    const trouble = await page.evaluate(() => window.trouble);
    check(trouble.length === 0, `hls.js gave up: ${trouble}`);
    check(p50 > 0 && p50 <= Number(most), `video frames are ${p50} ms old`);
    check(problems.length === 0, problems.join("\n"));
    await browser.close();
  } finally {
    camera.stop();
  }
});
