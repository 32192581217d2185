// What this browser can't play: BASE. There are `live/doorbell` with H.264 and G.711, `live/roof` with H.265 and AAC, and
// `live/attic` with Sorenson H.263 and MP3; and files of these names.

import { check, openPage, pause, plays, run, until, videoState } from "./common.mjs";

const words = (name, script, codec, wanted) => `${name} can't be played by this browser: ${script} --transcode makes ${wanted} of it`;

run(async (base) => {
  const { browser, page, problems } = await openPage(base);
  const text = (selector) => page.textContent(selector);
  const tile = (list, name) => `#${list} li:has(.name:text-is("${name}"))`;
  for (const [list, prefix, script] of [["live", "live/", "push-ip-camera.sh"], ["files", "", "push-file.sh"]]) {
    for (const [name, codec, wanted, where] of [
      ["doorbell", "G.711 A-law", "AAC", "hint"], ["roof", "H.265", "H.264", "note"], ["attic", "Sorenson H.263", "H.264", "note"],
    ]) {
      const told = `${tile(list, prefix + name)} .${where}`;
      const expected = words(codec, script, codec, wanted);
      await until(`${list} ${name} to be explained`, async () => (await text(told)) === expected || text(told));
      check((await text(told)) === expected, `${list} ${name}: ${await text(told)}`);
    }
  }
  check((await text(`${tile("live", "live/roof")} .facts`)).includes("H.265\u00a0+\u00a0AAC"), "facts have the right names");
  await plays(page, `${tile("live", "live/doorbell")} video`);

  for (const [name, codec, wanted, script] of [
    ["live/doorbell", "G.711 A-law", "AAC", "push-ip-camera.sh"], ["live/roof", "H.265", "H.264", "push-ip-camera.sh"],
    ["live/attic", "Sorenson H.263", "H.264", "push-ip-camera.sh"], ["gortmp/roof", "H.265", "H.264", "push-file.sh"],
  ]) {
    await page.evaluate((hash) => { location.hash = hash; }, name);
    await until(`${name} to be opened`, async () => (await text("#large-title")) === name.replace("gortmp/", ""));
    await until(`${name} to play`, async () => {
      const before = await videoState(page, "#large-video");
      await pause(1000);
      const { time } = await videoState(page, "#large-video");
      return time > before.time + 0.7 && time < before.time + 1.5;
    });
    await until(`${name} to be explained`, async () => (await text("#large-hint")) === words(codec, script, codec, wanted));
    check(await page.isVisible("#large-hint"), "it is seen");
    check((await text("#status")).includes(codec), "and read out");
    const { audioBytes } = await videoState(page, "#large-video");
    check((audioBytes > 0) === (name !== "live/doorbell"), `${name} has audio where it can: ${audioBytes} bytes`);
  }
  check(problems.length === 0, problems.join("\n"));
  await browser.close();
});
