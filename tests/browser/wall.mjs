// The wall: BASE. There are the live streams `live/cam` with video and audio, `live/<img src=x onerror=alert(1)>`,
// `live/radio` without video, and the files `film`, `film 2` and `film 10`.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { check, openPage, plays, run, until } from "./common.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const EVIL = "live/<img src=x onerror=alert(1)>";

/** Holds the page against the rules of axe-core. */
async function isAccessible(page, what) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run());
  const told = violations.map(({ id, help, nodes }) => `${id} (${help}): ${nodes.map((node) => node.html).join(" ")}`);
  check(told.length === 0, `${what}: ${told.join("\n")}`);
}

run(async (base) => {
  const { browser, page, problems } = await openPage(base);
  const tile = 'li:has(.name:text-is("live/cam"))';
  await page.waitForSelector(tile);
  const seen = await plays(page, `${tile} video`);
  check(seen.width === 320 && seen.height === 240, `the video is ${seen.width}×${seen.height}`);
  const facts = () => page.textContent(`${tile} .facts`);
  await until("what is known of the stream", async () => /320×240\s.*\sfps\s.*\sH\.264\s\+\sAAC\s.*bit\/s\s.*\s1\sviewer/.test(await facts()));

  const names = await page.$$eval("#live .name", (all) => all.map((one) => one.textContent));
  check(names.includes(EVIL), `its name is shown as text, among ${names}`);
  check((await page.$$("#live img")).length === 0, "no element came of a name");

  const film = 'li:has(.name:text-is("film"))';
  await until("the film's first video frame", () => page.$eval(`${film} video`, (video) => video.videoWidth === 320));
  check((await page.textContent(`${film} .badge`)).match(/^0:0\d$/), "its length is told");

  const films = await page.$$eval("#files .name", (all) => all.map((one) => one.textContent));
  check(films.join() === "film,film 2,film 10", `files stand as people count: ${films}`);
  const radio = 'li:has(.name:text-is("live/radio")) .note';
  await until("it to say that there is only audio", async () => (await page.textContent(radio)) === "Audio only");

  const push = await page.textContent("#push-lines");
  check(push.includes(`rtmp://${new URL(base).hostname}:`), "how to push is told with this address");

  for (const theme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: theme });
    await page.evaluate(() => { document.getElementById("push").open = true; });
    for (const [width, height] of [[1440, 900], [390, 844]]) {
      await page.setViewportSize({ width, height });
      await isAccessible(page, `the wall, ${theme}, ${width}×${height}`);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      check(wide <= 0, `nothing sticks out at ${width}×${height}, but ${wide} px do`);
    }
  }
  await page.setViewportSize({ width: 1440, height: 900 });

  // With the keyboard alone.
  await page.focus(`${tile} button`);
  await page.keyboard.press("Enter");
  const large = await plays(page, "#large-video");
  check(large.audioBytes > 0, "the large player has audio");
  await until("the latency", async () => /^\d+ ms behind/.test(await page.textContent("#latency")));
  await page.click("#viewers summary");
  await until("itself among the viewers", async () => /^127\.0\.0\.1:\d+\s·\sHTTP\s·\sMozilla/.test(await page.textContent("#viewers-list li")));
  await isAccessible(page, "the large player");
  check((await page.evaluate(() => location.hash)) === "#live/cam", "it has an address of its own");
  await page.keyboard.press("Escape");
  await until("the large player to be shut", () => page.$eval("#large", (dialog) => !dialog.open));
  check(await page.$eval(`${tile} button`, (button) => button === document.activeElement), "focus is back on its tile");
  await plays(page, `${tile} video`);

  check(problems.length === 0, problems.join("\n"));
  await browser.close();
});
