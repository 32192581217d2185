// The tiles of the wall: live streams, which play as they come into view, and files.

import { DecodeCapacity } from "./capacity.js";
import { FILE_SCRIPT, LIVE_SCRIPT, audioOnlyNote, fileSummary, formatDuration, joinFacts, playableKinds, streamSummary, unplayableHint, warningText } from "./format.js";
import { KeyFramePlayer } from "./key_frames.js";
import { LivePlayer } from "./live.js";
import { hasMediaSource } from "./media.js";
import { $, encodePath, socketUrl, state, url } from "./shared.js";

/** How long a tab may be hidden before its tiles stop. */
const HIDDEN_MS = 10_000;

/** How often the capacity is estimated, in milliseconds. */
const CAPACITY_MS = 2_000;

const SLOW = "Key frames only: this device can't decode more at once";

const inView = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    target.isInView = isIntersecting;
  }
  updatePlayback();
}, { rootMargin: "120px" });

class Tile {
  constructor(name) {
    this.name = name;
    this.item = $("tile-template").content.firstElementChild.cloneNode(true);
    this.button = this.item.firstElementChild;
    this.video = this.item.querySelector("video");
    this.note = this.item.querySelector(".note");
    this.hint = this.item.querySelector(".hint");
    this.video.muted = true;
    this.item.querySelector(".name").textContent = name;
    inView.observe(this.item);
  }

  setFacts(badge, facts, label) {
    this.item.querySelector(".badge").textContent = badge;
    this.item.querySelector(".facts").textContent = facts;
    this.label = label;
    this.showLabel();
  }

  /** What the tile says in words is part of its name for those who don't see it. */
  showLabel() {
    this.button.setAttribute("aria-label", joinFacts([this.label, this.note.textContent, this.hint.textContent]));
  }

  setNote(note, hint) {
    this.note.textContent = note;
    this.hint.textContent = hint;
    this.showLabel();
  }

  remove() {
    inView.unobserve(this.item);
    this.stop?.();
    this.item.remove();
  }
}

export class LiveTile extends Tile {
  constructor(stream) {
    super(stream.name);
    this.item.querySelector(".badge").classList.add("live");
    this.button.addEventListener("click", () => { location.hash = encodePath(this.name); });
  }

  update(stream) {
    this.stream = stream;
    this.setFacts(stream.published ? "Live" : "Away", streamSummary(stream), `Watch ${this.name}, ${streamSummary(stream)}`);
    this.showNote();
  }

  /** Whether there is something to see, as far as is known. */
  get hasVideo() {
    return !this.stream.video || playableKinds(this.stream, true).includes("video");
  }

  showNote() {
    const unplayed = unplayableHint(this.stream, LIVE_SCRIPT);
    const isBlank = !this.hasVideo;
    const note = (!isBlank && this.status) || audioOnlyNote(this.stream);
    const hint = this.isKeyFramesOnly ? SLOW : this.playerHint;
    this.setNote(isBlank ? unplayed : note, (isBlank ? "" : hint || unplayed || warningText(this.stream)) ?? "");
  }

  play(isKeyFramesOnly) {
    if (this.isKeyFramesOnly !== isKeyFramesOnly) this.stop();
    if (this.player || !hasMediaSource || !this.hasVideo || (this.stream.audio && !this.stream.video)) return;
    this.isKeyFramesOnly = isKeyFramesOnly;
    const address = socketUrl(`/${encodePath(this.name)}.mp4`);
    const onState = (_, text) => {
      this.status = text;
      this.showNote();
    };
    const onHint = (text) => {
      this.playerHint = text;
      this.showNote();
    };
    // Tiles are muted.
    const options = { keep: 4, kinds: ["video"], onState, onHint };
    this.player = isKeyFramesOnly ? new KeyFramePlayer(this.video, address) : new LivePlayer(this.video, address, options);
    this.showNote();
  }

  stop() {
    if (!this.player) return;
    this.player.stop();
    this.player = undefined;
    [this.status, this.playerHint, this.isKeyFramesOnly] = ["", "", undefined];
    this.showNote();
  }
}

export class FileTile extends Tile {
  constructor(file) {
    super(file.name);
    this.path = `/${encodePath(state.server.vod_app)}/${encodePath(file.name)}.mp4`;
    this.button.addEventListener("click", () => { location.hash = encodePath(`${state.server.vod_app}/${this.name}`); });
    this.video.preload = "metadata";
    // A codec that the browser lacks leaves the tile blank, and that is all.
    this.video.addEventListener("error", () => {
      if (!this.note.textContent) this.setNote("No preview", "");
    });
  }

  update(file) {
    this.file = file;
    const length = file.duration_seconds ? formatDuration(file.duration_seconds) : "";
    this.setFacts(length, fileSummary(file), `Play ${this.name}, ${joinFacts([length, fileSummary(file)])}`);
    const unplayed = unplayableHint(file, FILE_SCRIPT);
    const isBlank = !playableKinds(file, true).includes("video");
    const note = file.video || file.audio ? unplayed || audioOnlyNote(file) : "Nothing a browser can play";
    this.setNote(isBlank ? note : "", isBlank ? "" : unplayed);
  }

  play() {
    if (!playableKinds(this.file, true).includes("video") || this.video.src) return;
    this.video.src = url(this.path, { poster: "1" });
  }
}

export const tiles = { live: new Map(), files: new Map() };

/** Brings a list of tiles in line with a list of items, without touching those that stay. */
export function reconcile(list, items, map, make) {
  const names = new Set(items.map((item) => item.name));
  for (const [name, tile] of map) {
    if (!names.has(name)) {
      tile.remove();
      map.delete(name);
    }
  }
  items.forEach((item, index) => {
    let tile = map.get(item.name);
    if (!tile) {
      tile = make(item);
      map.set(item.name, tile);
    }
    tile.update(item);
    if (list.children[index] !== tile.item) list.insertBefore(tile.item, list.children[index] ?? null);
  });
}

const capacity = new DecodeCapacity();
let isHidden = false;
let hiding;

/** The live tiles in the order of the wall. */
const tilesInOrder = () => [...$("live").children].map((item) => [...tiles.live.values()].find((tile) => tile.item === item)).filter(Boolean);

/** Lets those tiles play that are seen, and stops the others. */
export function updatePlayback() {
  let free = capacity.limit;
  for (const tile of tilesInOrder()) {
    if (tile.item.isInView && !isHidden && !state.isLarge && tile.stream.published) {
      tile.play(free <= 0);
      free -= 1;
    } else {
      tile.stop();
    }
  }
  for (const tile of tiles.files.values()) {
    if (tile.item.isInView) tile.play();
  }
}

setInterval(() => {
  const playing = [...tiles.live.values()].filter((tile) => tile.player && !tile.isKeyFramesOnly && !document.hidden);
  if (capacity.update(playing.map(({ video }) => video), performance.now())) updatePlayback();
}, CAPACITY_MS);

document.addEventListener("visibilitychange", () => {
  clearTimeout(hiding);
  const hide = (hidden) => {
    isHidden = hidden;
    updatePlayback();
  };
  if (document.hidden) hiding = setTimeout(() => hide(true), HIDDEN_MS);
  else hide(false);
});
