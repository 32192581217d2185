// Which tracks of a stream go on: a telephone in the background sends audio alone.

/** A track that is so many seconds behind the others, and of which nothing came for as long, has stopped. */
export const STOPPED = 1;

/**
 * As long as audio goes on one waits longer for video: of a weak connection the server leaves out the ends of GOPs. Chromium
 * plays audio without video for 3 s.
 */
export const STOPPED_FOR_LONG = 2.5;

/** Whether there is something of a track among the newest of these frames. */
export function goesOn({ id }, frames) {
  const newest = Math.max(...frames.map(({ start }) => start));
  return frames.some((one) => one.track.id === id && one.end > newest - STOPPED);
}

export class Presence {
  #heard = new Map();
  #since;

  /** Something of a track has come. */
  note({ track, start, end }, now) {
    this.#since ??= now;
    this.#heard.set(track.id, { came: now, start, end });
  }

  /** For how many seconds something has come. */
  age(now) {
    return this.#since === undefined ? 0 : now - this.#since;
  }

  /** Whether anything of a track has come. */
  has({ id }) {
    return this.#heard.has(id);
  }

  /** The one of these tracks that has stopped for so many seconds while others go on, or undefined. */
  stopped(tracks, now, patience) {
    const lately = [...this.#heard.values()].filter(({ came }) => now - came < STOPPED / 2);
    const newest = Math.max(...lately.map(({ start }) => start));
    return tracks.find(({ id }) => {
      const heard = this.#heard.get(id);
      return heard && newest - heard.end > patience && now - heard.came > Math.max(patience, 2 * (heard.end - heard.start));
    });
  }

  clear() {
    this.#heard.clear();
    this.#since = undefined;
  }
}

/** Keeps what a video shows now behind it: without a track of video nothing covers it. */
export function freeze(video) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  if (!canvas.width) return;
  canvas.getContext("2d").drawImage(video, 0, 0);
  video.style.background = `center / contain no-repeat url(${canvas.toDataURL("image/jpeg")}) var(--picture)`;
}

/** Forgets it. */
export function thaw(video) {
  video.style.removeProperty("background");
}
