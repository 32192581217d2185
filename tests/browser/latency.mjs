// From the capture of a video frame to its being shown, in the page: BASE RTMP-URL MOST-MS.

import { ages, check, clockCamera, openPage, percentiles, plays, run, until } from "./common.mjs";

run(async (base, url, most) => {
  const camera = clockCamera(url);
  try {
    await until("the camera", async () => {
      const { streams } = await (await fetch(`${base}/api/v1/streams`)).json();
      return streams.some((stream) => stream.published && stream.video);
    });
    const { browser, page, problems } = await openPage(base, `/#${new URL(url).pathname.slice(1)}`);
    await plays(page, "#large-video");
    // It drifts to the live edge, and a machine that starts a browser has other things to do.
    await new Promise((resolve) => setTimeout(resolve, 8000));
    const { p50, p95 } = percentiles(await ages(page, "#large-video", 150));
    console.log(`in the page: p50 ${p50} ms, p95 ${p95} ms; ${await page.textContent("#latency")}`);
    check(p50 > 0 && p50 <= Number(most), `video frames are ${p50} ms old`);
    check(problems.length === 0, problems.join("\n"));
    await browser.close();
  } finally {
    camera.stop();
  }
});
