// Which tracks of a stream are active: a telephone in the background sends audio alone.

/** A track that is so many seconds behind the others, and of which nothing came for as long, has stopped. */
export const STOPPED = 1;

/**
 * As long as audio goes on one waits longer for video: of a weak connection the server leaves out the ends of GOPs. Chromium
 * plays audio without video for 3 s.
 */
export const STOPPED_FOR_LONG = 2.5;

/** Whether there is something of a track among the newest of these frames. */
export function isActive({ id }, frames) {
  const newest = Math.max(...frames.map(({ start }) => start));
  return frames.some((one) => one.track.id === id && one.end > newest - STOPPED);
}

export class TrackActivity {
  #lastSeen = new Map();
  #since;

  /** Something of a track has come. */
  record({ track, start, end }, now) {
    this.#since ??= now;
    this.#lastSeen.set(track.id, { came: now, start, end });
  }

  /** For how many seconds something has come. */
  age(now) {
    return this.#since === undefined ? 0 : now - this.#since;
  }

  /** Whether anything of a track has come. */
  has({ id }) {
    return this.#lastSeen.has(id);
  }

  /** The one of these tracks that has stopped for so many seconds while others go on, or undefined. */
  stopped(tracks, now, patience) {
    const lately = [...this.#lastSeen.values()].filter(({ came }) => now - came < STOPPED / 2);
    const newest = Math.max(...lately.map(({ start }) => start));
    return tracks.find(({ id }) => {
      const seen = this.#lastSeen.get(id);
      return seen && newest - seen.end > patience && now - seen.came > Math.max(patience, 2 * (seen.end - seen.start));
    });
  }

  clear() {
    this.#lastSeen.clear();
    this.#since = undefined;
  }
}

/** Keeps the current video frame as the background: without a video track nothing covers it. */
export function freeze(video) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  if (!canvas.width) return;
  canvas.getContext("2d").drawImage(video, 0, 0);
  video.style.background = `center / contain no-repeat url(${canvas.toDataURL("image/jpeg")}) var(--backdrop)`;
}

/** Removes it again. */
export function unfreeze(video) {
  video.style.removeProperty("background");
}
