// A camera that goes and comes back: BASE. Says `playing`, waits for a line on standard input, which is sent when the
// camera is gone, says `waiting`, and waits for the camera to play again. A new camera, `live/new`, comes with it.

import { check, lineReader, openPage, pause, plays, run, stopTimers, until } from "./common.mjs";

run(async (base) => {
  const nextLine = lineReader();
  const { browser, page, problems } = await openPage(base, "/#live/cam");
  await plays(page, "#large-video");
  console.log("playing");
  await nextLine();
  await until("it to wait for the camera", () => page.isVisible("#large-note:has-text(\"Waiting for the camera\")"), 40);
  // Its first try comes soon; the next is not for it to make before it hears that the camera is back.
  await stopTimers(page, 600, 60_000);
  await pause(2000);
  console.log("waiting");
  await plays(page, "#large-video", 40);
  await page.keyboard.press("Escape");
  const fresh = 'li:has(.name:text-is("live/new")) video';
  await page.waitForSelector(fresh);
  await plays(page, fresh);
  check(problems.filter((problem) => !problem.includes("WebSocket")).length === 0, problems.join("\n"));
  await browser.close();
});
