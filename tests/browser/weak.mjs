// How late the page's video is and how long it stands still, over a link that is too weak for it:
// BASE RTMP-URL KBITS SECONDS. Prints both as JSON; judging them is left to the one that asked.

import { clockCamera, openPage, percentiles, run, shownFrames, still, until } from "./common.mjs";

run(async (base, url, kbits, seconds) => {
  const camera = clockCamera(url, 25, { gop: 50, kbits: Number(kbits) });
  try {
    await until("the camera", async () => {
      const { streams } = await (await fetch(`${base}/api/v1/streams`)).json();
      return streams.some((stream) => stream.published && stream.video);
    });
    const { browser, page } = await openPage(base, `/#${new URL(url).pathname.slice(1)}`);
    const frames = await shownFrames(page, "#large-video", { seconds: Number(seconds) });
    const ages = frames.map((frame) => frame.age);
    console.log(JSON.stringify({ ...percentiles(ages), ...still(frames, Date.now() % 2 ** 32) }));
    await browser.close();
  } finally {
    camera.stop();
  }
});
