// The large player: one stream or file, with audio.

import { FilePlayer } from "./file.js";
import { FILE_SCRIPT, LIVE_SCRIPT, audioOnlyNote, fileSummary, playableKinds, streamSummary, unplayableHint, warningText } from "./format.js";
import { LivePlayer } from "./live.js";
import { hasMediaSource } from "./media.js";
import { $, announce, encodePath, socketUrl, state, url } from "./shared.js";
import { tiles, updatePlayback } from "./tiles.js";
import { viewers } from "./viewers.js";

export const large = {
  player: undefined,
  status: "",
  hint: "",

  open(name) {
    this.stop();
    const vod = `${state.server.vod_app}/`;
    const isFile = name.startsWith(vod);
    const video = $("large-video");
    state.isLarge = true;
    [this.name, this.isFile, this.status, this.hint] = [name, isFile, isFile ? "Loading…" : "Connecting…", ""];
    updatePlayback();
    $("large-title").textContent = isFile ? name.slice(vod.length) : name;
    $("live-controls").hidden = isFile;
    video.controls = isFile;
    video.muted = false;
    if (!$("large").open) $("large").showModal();
    const onState = (kind, text) => {
      this.status = text;
      this.showNote();
      if (kind === "playing") this.showMuted();
    };
    const onHint = (text) => {
      this.hint = text;
      this.showNote();
    };
    if (!hasMediaSource) {
      this.playNatively(name);
    } else if (isFile) {
      const from = (start) => url(`/${encodePath(name)}.mp4`, start > 0 ? { start: start.toFixed(3) } : {});
      this.player = new FilePlayer(video, from, this.item?.duration_seconds, { onState });
    } else {
      this.player = new LivePlayer(video, socketUrl(`/${encodePath(name)}.mp4`), { keep: 20, onState, onHint });
      this.timer = setInterval(() => this.showLatency(), 250);
      viewers.open(name);
    }
    this.showMuted();
    this.update();
  },

  /** What the server tells of what is shown. */
  get item() {
    if (!this.isFile) return state.streams.find((one) => one.name === this.name);
    return state.videos.find((one) => `${state.server.vod_app}/${one.name}` === this.name);
  },

  /** Telephones without MediaSource play HLS by themselves. */
  playNatively(name) {
    const video = $("large-video");
    video.src = url(`/${encodePath(name)}/index.m3u8`);
    video.controls = true;
    $("live-controls").hidden = true;
    this.status = "";
    video.play().catch(() => {});
  },

  stop() {
    clearInterval(this.timer);
    viewers.close();
    this.player?.stop();
    this.player = undefined;
    state.isLarge = false;
  },

  update() {
    if (!state.isLarge) return;
    const { item } = this;
    $("large-facts").textContent = item ? (this.isFile ? fileSummary : streamSummary)(item) : "";
    this.showNote();
  },

  /** A note in place of the video, and a hint over it; both are read out when they change. */
  showNote() {
    if (!state.isLarge) return;
    const { item } = this;
    const unplayed = hasMediaSource ? unplayableHint(item, this.isFile ? FILE_SCRIPT : LIVE_SCRIPT) : "";
    const nothingPlays = unplayed && !playableKinds(item, true).length;
    this.setText("large-note", nothingPlays ? unplayed : this.status || audioOnlyNote(item));
    this.setText("large-hint", nothingPlays ? "" : this.hint || unplayed || warningText(item));
  },

  setText(id, text) {
    if ($(id).textContent !== text && text) announce(text);
    $(id).textContent = text;
    $(id).hidden = !text;
  },

  showLatency() {
    const behind = this.player?.behind;
    $("latency").textContent = behind === undefined ? "" : `${Math.round(behind * 1000)} ms behind live`;
  },

  showMuted() {
    const { muted } = $("large-video");
    $("mute").textContent = muted ? "Unmute" : "Mute";
  },
};

$("mute").addEventListener("click", () => {
  $("large-video").muted = !$("large-video").muted;
  large.showMuted();
});
$("volume").addEventListener("input", () => {
  $("large-video").volume = Number($("volume").value);
  $("large-video").muted = false;
  large.showMuted();
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
  large.stop();
  if (location.hash) history.replaceState(null, "", location.pathname + location.search);
  updatePlayback();
  const vod = `${state.server.vod_app}/`;
  const tile = tiles.live.get(name) ?? tiles.files.get(name.startsWith(vod) ? name.slice(vod.length) : name);
  tile?.button.focus();
});

/** Shows what the address names. */
export function openFromHash() {
  let name = "";
  try {
    name = decodeURIComponent(location.hash.slice(1));
  } catch {
    // A hash that nobody here made.
  }
  if (name) large.open(name);
  else if ($("large").open) $("large").close();
}

addEventListener("hashchange", openFromHash);
