// Screenshots of the page for people: BASE FOLDER. There is a live stream `live/cam`.

import { openPage, plays, run } from "./common.mjs";

run(async (base, folder) => {
  for (const colorScheme of ["light", "dark"]) {
    for (const [device, width, height] of [["desktop", 1440, 900], ["phone", 390, 844]]) {
      const { browser, page } = await openPage(base, "/", { viewport: { width, height }, colorScheme });
      await plays(page, "#live video");
      await page.waitForTimeout(1500);
      await page.screenshot({ path: `${folder}/wall-${device}-${colorScheme}.png` });
      await page.click("#live .tile");
      await plays(page, "#large-video");
      await page.waitForTimeout(1500);
      await page.screenshot({ path: `${folder}/player-${device}-${colorScheme}.png` });
      await browser.close();
    }
  }
});
