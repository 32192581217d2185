// The page: live streams and files as tiles, one of them large.

import { pushExamples, showExamples } from "./examples.js";
import { formatAge } from "./format.js";
import { large, openFromHash } from "./large.js";
import { $, adminUrl, announce, byName, state, url } from "./shared.js";
import { FileTile, LiveTile, reconcile, tiles, updatePlayback } from "./tiles.js";

// ---- what the server tells

function showStreams({ streams, locked }) {
  streams.sort(byName);
  const before = new Set(state.streams.map((stream) => stream.name));
  const wasOn = state.streams.some((stream) => stream.published && stream.name === large.name);
  state.streams = streams;
  if (!wasOn && streams.some((stream) => stream.published && stream.name === large.name)) large.player?.reconnectNow?.();
  reconcile($("live"), streams, tiles.live, (stream) => new LiveTile(stream));
  $("live-count").textContent = streams.length || "";
  $("nothing").hidden = streams.length > 0;
  if (!streams.length && !showStreams.hasShown) $("push").open = true;
  showStreams.hasShown = true;
  const fresh = streams.filter((stream) => !before.has(stream.name)).map((stream) => stream.name);
  if (fresh.length && before.size) announce(`New: ${fresh.join(", ")}`);
  state.lockedStreams = locked;
  showLock();
  updatePlayback();
  large.update();
}

function showVideos({ videos, locked }) {
  videos.sort(byName);
  state.videos = videos;
  reconcile($("files"), videos, tiles.files, (file) => new FileTile(file));
  $("files-section").hidden = videos.length === 0;
  $("files-count").textContent = videos.length || "";
  state.lockedVideos = locked;
  showLock();
  updatePlayback();
  large.update();
}

function showLock() {
  const locked = (state.lockedStreams ?? 0) + (state.lockedVideos ?? 0);
  $("key-form").hidden = locked === 0;
  const what = locked === 1 ? "One stream or file needs" : `${locked} streams or files need`;
  $("key-hint").textContent = state.key ? `${what} another key than the one given.` : `${what} a key.`;
}

let events;

function subscribe() {
  events?.close();
  events = new EventSource(url("/api/v1/events"));
  events.addEventListener("streams", ({ data }) => showStreams(JSON.parse(data)));
  events.addEventListener("videos", ({ data }) => showVideos(JSON.parse(data)));
  events.addEventListener("open", () => {
    document.body.dataset.connected = "yes";
    refreshServer();
  });
  events.addEventListener("error", () => {
    document.body.dataset.connected = "no";
    $("server").textContent = "The server does not answer; trying again…";
    // A browser gives up after some answers.
    if (events.readyState === EventSource.CLOSED) setTimeout(subscribe, 3000);
    setTimeout(refreshServer, 1500);
  });
}

async function refreshServer() {
  try {
    state.server = await (await fetch(adminUrl("/api/v1/server"), { cache: "no-store" })).json();
  } catch {
    return false;
  }
  const { version, uptime_seconds: uptime } = state.server;
  $("server").textContent = `${version} on ${location.host}, up for ${formatAge(uptime)}`;
  return true;
}

$("key-form").addEventListener("submit", (submit) => {
  submit.preventDefault();
  state.key = $("key").value;
  sessionStorage.setItem("key", state.key);
  $("key").value = "";
  subscribe();
});

// ---- light and dark

const dark = matchMedia("(prefers-color-scheme: dark)");

function showTheme(theme) {
  document.documentElement.dataset.theme = theme;
  $("theme").textContent = theme === "dark" ? "Light" : "Dark";
  $("theme").setAttribute("aria-label", theme === "dark" ? "Use light colours" : "Use dark colours");
}

$("theme").addEventListener("click", () => {
  const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  localStorage.setItem("theme", theme);
  showTheme(theme);
});
const systemTheme = () => (dark.matches ? "dark" : "light");
dark.addEventListener("change", () => showTheme(localStorage.getItem("theme") ?? systemTheme()));
showTheme(localStorage.getItem("theme") ?? systemTheme());

// ---- the beginning

while (!(await refreshServer())) {
  $("server").textContent = "The server does not answer; trying again…";
  await new Promise((resolve) => setTimeout(resolve, 2000));
}
setInterval(refreshServer, 60_000);
showExamples($("push-lines"), pushExamples(state.server, location.hostname), announce);
subscribe();
openFromHash();
