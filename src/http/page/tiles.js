// The tiles of the wall: live streams, which play as they come into view, and files.

import { LivePlayer } from "./live.js";
import { Load } from "./load.js";
import { $, part, socketUrl, state, url } from "./site.js";
import { StillPlayer } from "./still.js";
import { canPlay } from "./tracks.js";
import { FILE_SCRIPT, LIVE_SCRIPT, fileFacts, joined, kinds, seconds, soundOnly, streamFacts, unplayable, warning } from "./words.js";

/** How long a tab may be hidden before its tiles stop. */
const HIDDEN_MS = 10_000;

/** How often the load is looked at, in milliseconds. */
const LOAD_MS = 2_000;

const SLOW = "Key frames only: this device can't decode more at once";

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
    this.hint = this.item.querySelector(".hint");
    this.video.muted = true;
    this.item.querySelector(".name").textContent = name;
    inView.observe(this.item);
  }

  tell(badge, facts, label) {
    this.item.querySelector(".badge").textContent = badge;
    this.item.querySelector(".facts").textContent = facts;
    this.label = label;
    this.showLabel();
  }

  /** What the tile says in words is part of its name for those who don't see it. */
  showLabel() {
    this.button.setAttribute("aria-label", joined([this.label, this.note.textContent, this.hint.textContent]));
  }

  show(note, hint) {
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
    this.button.addEventListener("click", () => { location.hash = part(this.name); });
  }

  update(stream) {
    this.stream = stream;
    this.tell(stream.published ? "Live" : "Away", streamFacts(stream), `Watch ${this.name}, ${streamFacts(stream)}`);
    this.showNote();
  }

  /** Whether there is something to see, as far as is known. */
  get hasVideo() {
    return !this.stream.video || kinds(this.stream, true).includes("video");
  }

  showNote() {
    const lacking = unplayable(this.stream, LIVE_SCRIPT);
    const isDark = !this.hasVideo;
    const words = (!isDark && this.words) || soundOnly(this.stream);
    const hint = this.isStill ? SLOW : this.playerHint;
    this.show(isDark ? lacking : words, (isDark ? "" : hint || lacking || warning(this.stream)) ?? "");
  }

  play(isStill) {
    if (this.isStill !== isStill) this.stop();
    if (this.player || !canPlay || !this.hasVideo || (this.stream.audio && !this.stream.video)) return;
    this.isStill = isStill;
    const address = socketUrl(`/${part(this.name)}.mp4`);
    const onState = (_, words) => {
      this.words = words;
      this.showNote();
    };
    const onHint = (words) => {
      this.playerHint = words;
      this.showNote();
    };
    // Nobody hears a tile.
    const options = { keep: 4, kinds: ["video"], onState, onHint };
    this.player = isStill ? new StillPlayer(this.video, address) : new LivePlayer(this.video, address, options);
    this.showNote();
  }

  stop() {
    if (!this.player) return;
    this.player.stop();
    this.player = undefined;
    [this.words, this.playerHint, this.isStill] = ["", "", undefined];
    this.showNote();
  }
}

export class FileTile extends Tile {
  constructor(file) {
    super(file.name);
    this.path = `/${part(state.server.vod_app)}/${part(file.name)}.mp4`;
    this.button.addEventListener("click", () => { location.hash = part(`${state.server.vod_app}/${this.name}`); });
    this.video.preload = "metadata";
    // A codec that the browser lacks leaves the tile dark, and that is all.
    this.video.addEventListener("error", () => {
      if (!this.note.textContent) this.show("No preview", "");
    });
  }

  update(file) {
    this.file = file;
    const length = file.duration_seconds ? seconds(file.duration_seconds) : "";
    this.tell(length, fileFacts(file), `Play ${this.name}, ${joined([length, fileFacts(file)])}`);
    const lacking = unplayable(file, FILE_SCRIPT);
    const isDark = !kinds(file, true).includes("video");
    const note = file.video || file.audio ? lacking || soundOnly(file) : "Nothing a browser can play";
    this.show(isDark ? note : "", isDark ? "" : lacking);
  }

  play() {
    if (!kinds(this.file, true).includes("video") || this.video.src) return;
    this.video.src = url(this.path, { poster: "1" });
  }
}

export const tiles = { live: new Map(), files: new Map() };

/** Brings a list of tiles in line with a list of things, without touching those that stay. */
export function lay(list, things, map, make) {
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

const load = new Load();
let isHidden = false;
let hiding;

/** The live tiles in the order of the wall. */
const inOrder = () => [...$("live").children].map((item) => [...tiles.live.values()].find((tile) => tile.item === item)).filter(Boolean);

/** Lets those tiles play that are seen, and stops the others. */
export function attend() {
  let free = load.limit;
  for (const tile of inOrder()) {
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
  const playing = [...tiles.live.values()].filter((tile) => tile.player && !tile.isStill && !document.hidden);
  if (load.look(playing.map(({ video }) => video), performance.now())) attend();
}, LOAD_MS);

document.addEventListener("visibilitychange", () => {
  clearTimeout(hiding);
  const hide = (hidden) => {
    isHidden = hidden;
    attend();
  };
  if (document.hidden) hiding = setTimeout(() => hide(true), HIDDEN_MS);
  else hide(false);
});
