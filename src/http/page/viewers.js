// Who watches a live stream and how well, for those whom the server tells it: this machine, or who has the admin key.

import { joinFacts } from "./format.js";
import { $, adminUrl, state } from "./shared.js";

/** How often the server is asked, in milliseconds. */
const EVERY_MS = 2_000;

/** A viewer in a line. */
function line({ address, protocol, agent, lag_seconds: lag, skips, messages_dropped: lost }) {
  return joinFacts([
    address,
    protocol.toUpperCase(),
    agent,
    lag >= 0.1 && `${lag.toFixed(1)} s behind`,
    skips > 0 && (skips === 1 ? "1 skip" : `${skips} skips`),
    lost > 0 && `${lost} messages left out`,
  ]);
}

export const viewers = {
  open(name) {
    this.close();
    if (!state.server.may_see_connections) return;
    this.timer = setInterval(() => this.refresh(name), EVERY_MS);
    this.refresh(name);
  },

  close() {
    clearInterval(this.timer);
    this.timer = undefined;
    $("viewers").hidden = true;
  },

  async refresh(name) {
    const answer = await fetch(adminUrl("/api/v1/players")).catch(() => undefined);
    if (!answer?.ok || !this.timer) return;
    const { players } = await answer.json();
    const lines = players.filter(({ plays }) => plays.includes(name)).map(line);
    $("viewers-count").textContent = lines.length;
    $("viewers-list").replaceChildren(...lines.map((text) => Object.assign(document.createElement("li"), { textContent: text })));
    $("viewers").hidden = !this.timer;
  },
};
