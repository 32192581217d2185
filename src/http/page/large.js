// The large player: one stream or file, with sound.

import { FilePlayer } from "./file.js";
import { LivePlayer } from "./live.js";
import { $, part, say, socketUrl, state, url } from "./site.js";
import { attend, tiles } from "./tiles.js";
import { canPlay } from "./tracks.js";
import { viewers } from "./viewers.js";
import { FILE_SCRIPT, LIVE_SCRIPT, fileFacts, kinds, soundOnly, streamFacts, unplayable, warning } from "./words.js";

export const large = {
  player: undefined,
  words: "",
  hint: "",

  open(name) {
    this.shut();
    const vod = `${state.server.vod_app}/`;
    const isFile = name.startsWith(vod);
    const video = $("large-video");
    state.isLarge = true;
    [this.name, this.isFile, this.words, this.hint] = [name, isFile, isFile ? "Loading…" : "Connecting…", ""];
    attend();
    $("large-title").textContent = isFile ? name.slice(vod.length) : name;
    $("live-controls").hidden = isFile;
    video.controls = isFile;
    video.muted = false;
    if (!$("large").open) $("large").showModal();
    const onState = (kind, words) => {
      this.words = words;
      this.showNote();
      if (kind === "playing") this.showSound();
    };
    const onHint = (words) => {
      this.hint = words;
      this.showNote();
    };
    if (!canPlay) {
      this.playNatively(name);
    } else if (isFile) {
      const from = (start) => url(`/${part(name)}.mp4`, start > 0 ? { start: start.toFixed(3) } : {});
      this.player = new FilePlayer(video, from, this.thing?.duration_seconds, { onState });
    } else {
      this.player = new LivePlayer(video, socketUrl(`/${part(name)}.mp4`), { keep: 20, onState, onHint });
      this.timer = setInterval(() => this.showLatency(), 250);
      viewers.open(name);
    }
    this.showSound();
    this.update();
  },

  /** What the server tells of what is shown. */
  get thing() {
    if (!this.isFile) return state.streams.find((one) => one.name === this.name);
    return state.videos.find((one) => `${state.server.vod_app}/${one.name}` === this.name);
  },

  /** Telephones without MediaSource play HLS by themselves. */
  playNatively(name) {
    const video = $("large-video");
    video.src = url(`/${part(name)}/index.m3u8`);
    video.controls = true;
    $("live-controls").hidden = true;
    this.words = "";
    video.play().catch(() => {});
  },

  shut() {
    clearInterval(this.timer);
    viewers.shut();
    this.player?.stop();
    this.player = undefined;
    state.isLarge = false;
  },

  update() {
    if (!state.isLarge) return;
    const { thing } = this;
    $("large-facts").textContent = thing ? (this.isFile ? fileFacts : streamFacts)(thing) : "";
    this.showNote();
  },

  /** Words in place of video, and words over it; both are read out when they change. */
  showNote() {
    if (!state.isLarge) return;
    const { thing } = this;
    const lacking = canPlay ? unplayable(thing, this.isFile ? FILE_SCRIPT : LIVE_SCRIPT) : "";
    const nothingPlays = lacking && !kinds(thing, true).length;
    this.showIn("large-note", nothingPlays ? lacking : this.words || soundOnly(thing));
    this.showIn("large-hint", nothingPlays ? "" : this.hint || lacking || warning(thing));
  },

  showIn(id, words) {
    if ($(id).textContent !== words && words) say(words);
    $(id).textContent = words;
    $(id).hidden = !words;
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

/** Shows what the address names. */
export function follow() {
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
