// How soon hls.js shows something of a camera with long GOPs: BASE PATH MOST-MS. Says "ready", and goes on when it is told.

import { createRequire } from "node:module";
import { check, lineReader, openPage, pause, run } from "./common.mjs";

const library = createRequire(import.meta.url).resolve("hls.js/dist/hls.js");

run(async (base, path, most) => {
  const { browser, page, problems } = await openPage(base, "/healthz", { bypassCSP: true });
  /** Milliseconds from the beginning to the first frame. */
  const begins = async () => {
    await page.setContent("<video muted></video>");
    await page.addScriptTag({ path: library });
    return page.evaluate((source) => new Promise((resolve) => {
      const [video, start] = [document.querySelector("video"), performance.now()];
      video.requestVideoFrameCallback(() => resolve(Math.round(performance.now() - start)));
      const hls = new window.Hls({ lowLatencyMode: true });
      // Where the page has gone on to the next there is nothing to play.
      hls.on(window.Hls.Events.MANIFEST_PARSED, () => video.play().catch(() => {}));
      hls.on(window.Hls.Events.ERROR, (_, { details, fatal }) => fatal && resolve(details));
      hls.loadSource(source);
      hls.attachMedia(video);
    }), base + path);
  };
  const nextLine = lineReader();
  console.log("ready");
  await nextLine();
  // The first in the camera's first GOP, another in the same, one in a later.
  for (const wait of [0, 0, 10_000]) {
    await pause(wait);
    const took = await begins();
    console.error(`hls.js has a frame after ${took} ms`);
    check(took <= Number(most), `hls.js has a frame after ${took} ms`);
  }
  check(problems.length === 0, problems.join("\n"));
  await browser.close();
});
