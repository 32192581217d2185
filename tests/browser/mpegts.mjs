// A live stream as FLV in mpegts.js, over HTTP and over a WebSocket: BASE PATH.

import { createRequire } from "node:module";
import { check, openPage, plays, run } from "./common.mjs";

const library = createRequire(import.meta.url).resolve("mpegts.js/dist/mpegts.js");

async function playsIn(base, url) {
  const { browser, page, problems } = await openPage(base, "/healthz", { bypassCSP: true });
  await page.setContent("<video muted></video>");
  await page.addScriptTag({ path: library });
  await page.evaluate((source) => {
    const { mpegts } = window;
    window.trouble = [];
    mpegts.LoggingControl.enableAll = false;
    const player = mpegts.createPlayer({ type: "flv", isLive: true, url: source });
    player.on(mpegts.Events.ERROR, (...what) => window.trouble.push(what.join(" ")));
    player.attachMediaElement(document.querySelector("video"));
    player.load();
    // A call that is cut off by the next one fails; whether the video plays is asked below.
    player.play()?.catch(() => {});
  }, url);
  const { audioBytes } = await plays(page, "video");
  check(audioBytes > 0, `${url}: there is no audio`);
  const trouble = await page.evaluate(() => window.trouble);
  check(trouble.length === 0, `${url}: ${trouble}`);
  const others = problems.filter((problem) => !problem.includes(`asked for ${url}`));
  check(others.length === 0, others.join("\n"));
  await browser.close();
}

run(async (base, path) => {
  await Promise.all([base + path, base.replace("http", "ws") + path].map((url) => playsIn(base, url)));
});
