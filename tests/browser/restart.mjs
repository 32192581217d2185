// A server that is ended and started again: BASE. Says `playing`, waits for a line on standard input, which is sent when
// the server is gone, says `waiting`, and waits for everything to be as before.

import { check, lineReader, openPage, pause, plays, run, stopTimers, until } from "./common.mjs";

run(async (base) => {
  const nextLine = lineReader();
  const { browser, page, problems } = await openPage(base);
  const tile = 'li:has(.name:text-is("live/cam")) video';
  const server = (text) => page.isVisible(`#server:has-text("${text}")`);
  await page.waitForSelector(tile);
  await plays(page, tile);
  check(await server("up for"), "it tells the server's age");
  console.log("playing");
  await nextLine();
  await until("it to tell that the server is gone", () => server("does not answer"));
  // It looks again after an error, which is not what shall tell it here.
  await stopTimers(page, 1500, 1500);
  await pause(2000);
  console.log("waiting");
  await plays(page, tile, 40);
  await until("it to tell the server's age again", () => server("up for"), 10);
  const others = problems.filter((problem) => !/WebSocket|ERR_CONNECTION|ERR_INCOMPLETE|ERR_EMPTY/.test(problem));
  check(others.length === 0, others.join("\n"));
  await browser.close();
});
