// The page: live streams and files as tiles, one of them large.

import { FilePlayer, LivePlayer, canPlay } from "./player.js";
import { show as showWays, ways } from "./push.js";

const $ = (id) => document.getElementById(id);

/** Tiles that play at once; more would be more than a small machine decodes. */
const PLAYING = 9;

/** How long a tab may be hidden before its tiles stop. */
const HIDDEN_MS = 10_000;

const state = {
  server: undefined,
  key: new URLSearchParams(location.search).get("key") ?? sessionStorage.getItem("key") ?? "",
  streams: [],
  videos: [],
};

const say = (text) => { $("status").textContent = text; };

const part = (name) => name.split("/").map(encodeURIComponent).join("/");

/** A path with the key, if there is one, and more parameters. */
function url(path, parameters = {}) {
  const query = new URLSearchParams(parameters);
  if (state.key) query.set("key", state.key);
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

const socketUrl = (path) => `${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}${url(path)}`;

// ---- words

function codecName(codec) {
  const names = { avc1: "H.264", hvc1: "H.265", av01: "AV1", vp09: "VP9", "mp4a.40": "AAC", mp4a: "MP3", opus: "Opus" };
  return names[codec.slice(0, 7)] ?? names[codec.slice(0, 4)] ?? codec;
}

function seconds(total) {
  const whole = Math.max(0, Math.round(total));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (number) => String(number).padStart(2, "0");
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

function ago(total) {
  if (total < 60) return `${Math.round(total)} s`;
  if (total < 3600) return `${Math.floor(total / 60)} min`;
  if (total < 86_400) return `${Math.floor(total / 3600)} h ${Math.floor(total / 60) % 60} min`;
  return `${Math.floor(total / 86_400)} d ${Math.floor(total / 3600) % 24} h`;
}

const size = (bytes) => (bytes < 1e6 ? `${Math.round(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);

const rate = (bits) => (bits < 1e6 ? `${Math.round(bits / 1e3)} kbit/s` : `${(bits / 1e6).toFixed(1)} Mbit/s`);

function formats({ video, audio, frames_per_second: fps }) {
  return [
    video?.width && `${video.width}×${video.height}`,
    fps > 0 && `${Math.round(fps)} fps`,
    [video && codecName(video.codec), audio && codecName(audio.codec)].filter(Boolean).join(" + "),
  ];
}

/** Facts behind each other; lines break between them only. */
const joined = (words) => words.filter(Boolean).map((word) => word.replaceAll(" ", "\u00a0")).join("\u00a0· ");

function streamFacts(stream) {
  const viewers = stream.viewers === 1 ? "1 viewer" : `${stream.viewers} viewers`;
  const age = stream.age_seconds !== null && `on for ${ago(stream.age_seconds)}`;
  return joined([...formats(stream), stream.bits_per_second > 0 && rate(stream.bits_per_second), viewers, age]);
}

const fileFacts = (file) => joined([...formats(file), size(file.bytes)]);

/** What to say where there is no picture to be expected. */
const soundOnly = (thing) => (thing?.audio && !thing.video ? "Sound only" : "");

// ---- tiles

const inView = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    target.isInView = isIntersecting;
  }
  attend();
}, { rootMargin: "120px" });

class Tile {
  constructor(name) {
    this.name = name;
    this.item = $("tile-template").content.firstElementChild.cloneNode(true);
    this.button = this.item.firstElementChild;
    this.video = this.item.querySelector("video");
    this.note = this.item.querySelector(".note");
    this.video.muted = true;
    this.item.querySelector(".name").textContent = name;
    inView.observe(this.item);
  }

  tell(badge, facts, label) {
    this.item.querySelector(".badge").textContent = badge;
    this.item.querySelector(".facts").textContent = facts;
    this.button.setAttribute("aria-label", label);
  }

  remove() {
    inView.unobserve(this.item);
    this.stop?.();
    this.item.remove();
  }
}

class LiveTile extends Tile {
  constructor(stream) {
    super(stream.name);
    this.item.querySelector(".badge").classList.add("live");
    this.button.addEventListener("click", () => { location.hash = part(this.name); });
  }

  update(stream) {
    this.stream = stream;
    this.tell(stream.published ? "Live" : "Away", streamFacts(stream), `Watch ${this.name}, ${streamFacts(stream)}`);
    this.showNote();
  }

  showNote() {
    this.note.textContent = this.words || soundOnly(this.stream);
  }

  play() {
    if (this.player || !canPlay) return;
    const onState = (_, words) => {
      this.words = words;
      this.showNote();
    };
    this.player = new LivePlayer(this.video, socketUrl(`/${part(this.name)}.mp4`), { keep: 4, onState });
  }

  stop() {
    this.player?.stop();
    this.player = undefined;
    this.words = "";
    this.showNote();
  }
}

class FileTile extends Tile {
  constructor(file) {
    super(file.name);
    this.path = `/${part(state.server.vod_app)}/${part(file.name)}.mp4`;
    this.button.addEventListener("click", () => { location.hash = part(`${state.server.vod_app}/${this.name}`); });
    this.video.preload = "metadata";
    // A codec that the browser lacks leaves the tile dark, and that is all.
    this.video.addEventListener("error", () => { this.note.textContent = "No preview"; });
  }

  update(file) {
    this.file = file;
    const length = file.duration_seconds ? seconds(file.duration_seconds) : "";
    this.tell(length, fileFacts(file), `Play ${this.name}, ${joined([length, fileFacts(file)])}`);
    this.note.textContent = file.video || file.audio ? soundOnly(file) : "Nothing a browser can play";
  }

  play() {
    if (!this.file.video || this.video.src) return;
    this.video.src = url(this.path, { poster: "1" });
  }
}

const tiles = { live: new Map(), files: new Map() };

/** Brings a list of tiles in line with a list of things, without touching those that stay. */
function lay(list, things, map, make) {
  const names = new Set(things.map((thing) => thing.name));
  for (const [name, tile] of map) {
    if (!names.has(name)) {
      tile.remove();
      map.delete(name);
    }
  }
  things.forEach((thing, index) => {
    let tile = map.get(thing.name);
    if (!tile) {
      tile = make(thing);
      map.set(thing.name, tile);
    }
    tile.update(thing);
    if (list.children[index] !== tile.item) list.insertBefore(tile.item, list.children[index] ?? null);
  });
}

let isHidden = false;
let hiding;

/** Lets those tiles play that are seen, and stops the others. */
function attend() {
  let free = large.isOpen ? 0 : PLAYING;
  for (const tile of tiles.live.values()) {
    const plays = tile.item.isInView && !isHidden && tile.stream.published && free > 0;
    if (plays) {
      free -= 1;
      tile.play();
    } else {
      tile.stop();
    }
  }
  for (const tile of tiles.files.values()) {
    if (tile.item.isInView) tile.play();
  }
}

document.addEventListener("visibilitychange", () => {
  clearTimeout(hiding);
  const hide = (hidden) => {
    isHidden = hidden;
    attend();
  };
  if (document.hidden) hiding = setTimeout(() => hide(true), HIDDEN_MS);
  else hide(false);
});

// ---- the large player

const large = {
  isOpen: false,
  player: undefined,

  open(name) {
    this.shut();
    const vod = `${state.server.vod_app}/`;
    const file = name.startsWith(vod) ? state.videos.find((one) => one.name === name.slice(vod.length)) : undefined;
    const isFile = name.startsWith(vod);
    const video = $("large-video");
    this.isOpen = true;
    this.name = name;
    attend();
    $("large-title").textContent = isFile ? name.slice(vod.length) : name;
    $("live-controls").hidden = isFile;
    $("large-note").hidden = false;
    video.controls = isFile;
    video.muted = false;
    if (!$("large").open) $("large").showModal();
    const onState = (kind, words) => {
      const thing = file ?? state.streams.find((one) => one.name === name);
      $("large-note").textContent = words || soundOnly(thing);
      $("large-note").hidden = $("large-note").textContent === "";
      if (kind === "playing") this.showSound();
      if (words) say(words);
    };
    if (!canPlay) {
      this.playNatively(name, isFile);
    } else if (isFile) {
      onState("connecting", "Loading…");
      const from = (start) => url(`/${part(name)}.mp4`, start > 0 ? { start: start.toFixed(3) } : {});
      this.player = new FilePlayer(video, from, file?.duration_seconds, { onState });
    } else {
      this.player = new LivePlayer(video, socketUrl(`/${part(name)}.mp4`), { keep: 20, onState });
      this.timer = setInterval(() => this.showLatency(), 250);
    }
    this.showSound();
    this.update();
  },

  /** Telephones without MediaSource play HLS by themselves. */
  playNatively(name) {
    const video = $("large-video");
    video.src = url(`/${part(name)}/index.m3u8`);
    video.controls = true;
    $("live-controls").hidden = true;
    $("large-note").hidden = true;
    video.play().catch(() => {});
  },

  shut() {
    clearInterval(this.timer);
    this.player?.stop();
    this.player = undefined;
    this.isOpen = false;
  },

  update() {
    if (!this.isOpen) return;
    const stream = state.streams.find((one) => one.name === this.name);
    const file = state.videos.find((one) => `${state.server.vod_app}/${one.name}` === this.name);
    $("large-facts").textContent = stream ? streamFacts(stream) : file ? fileFacts(file) : "";
  },

  showLatency() {
    const behind = this.player?.behind;
    $("latency").textContent = behind === undefined ? "" : `${Math.round(behind * 1000)} ms behind the newest picture`;
  },

  showSound() {
    const { muted } = $("large-video");
    $("sound").textContent = muted ? "Sound on" : "Sound off";
  },
};

$("sound").addEventListener("click", () => {
  $("large-video").muted = !$("large-video").muted;
  large.showSound();
});
$("volume").addEventListener("input", () => {
  $("large-video").volume = Number($("volume").value);
  $("large-video").muted = false;
  large.showSound();
});
$("full").addEventListener("click", () => {
  if (document.fullscreenElement) document.exitFullscreen();
  else if ($("stage").requestFullscreen) $("stage").requestFullscreen().catch(() => {});
  else $("large-video").webkitEnterFullscreen?.();
});
$("close").addEventListener("click", () => $("large").close());
$("large").addEventListener("click", (click) => {
  if (click.target === $("large")) $("large").close();
});
$("large").addEventListener("close", () => {
  const name = large.name;
  large.shut();
  if (location.hash) history.replaceState(null, "", location.pathname + location.search);
  attend();
  const vod = `${state.server.vod_app}/`;
  const tile = tiles.live.get(name) ?? tiles.files.get(name.startsWith(vod) ? name.slice(vod.length) : name);
  tile?.button.focus();
});

function follow() {
  let name = "";
  try {
    name = decodeURIComponent(location.hash.slice(1));
  } catch {
    // A hash that nobody here made.
  }
  if (name) large.open(name);
  else if ($("large").open) $("large").close();
}

addEventListener("hashchange", follow);

// ---- what the server tells

function showStreams({ streams, locked }) {
  const before = new Set(state.streams.map((stream) => stream.name));
  const wasOn = state.streams.some((stream) => stream.published && stream.name === large.name);
  state.streams = streams;
  if (!wasOn && streams.some((stream) => stream.published && stream.name === large.name)) large.player?.hurry?.();
  lay($("live"), streams, tiles.live, (stream) => new LiveTile(stream));
  $("live-count").textContent = streams.length || "";
  $("nothing").hidden = streams.length > 0;
  if (!streams.length && !showStreams.hasShown) $("push").open = true;
  showStreams.hasShown = true;
  const fresh = streams.filter((stream) => !before.has(stream.name)).map((stream) => stream.name);
  if (fresh.length && before.size) say(`New: ${fresh.join(", ")}`);
  state.lockedStreams = locked;
  showLock();
  attend();
  large.update();
}

/** As people count: 2 before 10. */
const { compare } = new Intl.Collator(undefined, { numeric: true });

function showVideos({ videos, locked }) {
  videos.sort((one, other) => compare(one.name, other.name));
  state.videos = videos;
  lay($("files"), videos, tiles.files, (file) => new FileTile(file));
  $("files-section").hidden = videos.length === 0;
  $("files-count").textContent = videos.length || "";
  state.lockedVideos = locked;
  showLock();
  attend();
  large.update();
}

function showLock() {
  const locked = (state.lockedStreams ?? 0) + (state.lockedVideos ?? 0);
  $("key-form").hidden = locked === 0;
  const what = locked === 1 ? "One stream or file needs" : `${locked} streams or files need`;
  $("key-hint").textContent = state.key ? `${what} another key than the one given.` : `${what} a key.`;
}

let events;

function listen() {
  events?.close();
  events = new EventSource(url("/api/v1/events"));
  events.addEventListener("streams", ({ data }) => showStreams(JSON.parse(data)));
  events.addEventListener("videos", ({ data }) => showVideos(JSON.parse(data)));
  events.addEventListener("open", () => {
    document.body.dataset.connected = "yes";
    greet();
  });
  events.addEventListener("error", () => {
    document.body.dataset.connected = "no";
    $("server").textContent = "The server does not answer; trying again…";
    // A browser gives up after some answers.
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, 3000);
    setTimeout(greet, 1500);
  });
}

async function greet() {
  try {
    state.server = await (await fetch("/api/v1/server", { cache: "no-store" })).json();
  } catch {
    return false;
  }
  const { version, uptime_seconds: uptime } = state.server;
  $("server").textContent = `${version} on ${location.host}, up for ${ago(uptime)}`;
  return true;
}

$("key-form").addEventListener("submit", (submit) => {
  submit.preventDefault();
  state.key = $("key").value;
  sessionStorage.setItem("key", state.key);
  $("key").value = "";
  listen();
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

while (!(await greet())) {
  $("server").textContent = "The server does not answer; trying again…";
  await new Promise((resolve) => setTimeout(resolve, 2000));
}
setInterval(greet, 60_000);
showWays($("push-lines"), ways(state.server, location.hostname), say);
listen();
follow();
