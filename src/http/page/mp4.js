// Fragmented MP4 as this server makes it: each fragment one frame of one track. Boxes are those of ISO/IEC 14496-12.

const HEADER = 8;

const viewOf = (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

const typeAt = (view, at) => String.fromCharCode(...[4, 5, 6, 7].map((i) => view.getUint8(at + i)));

/** The whole boxes between two offsets. */
function boxes(view, from, to) {
  const found = [];
  while (from + HEADER <= to) {
    const end = from + view.getUint32(from);
    if (end < from + HEADER || end > to) break;
    found.push({ type: typeAt(view, from), start: from, end });
    from = end;
  }
  return found;
}

/** The first box along a path of types. */
function find(view, from, to, [type, ...rest]) {
  const box = boxes(view, from, to).find((one) => one.type === type);
  if (!box || !rest.length) return box;
  return find(view, box.start + HEADER, box.end, rest);
}

export function concatenate(parts) {
  if (parts.length === 1) return parts[0];
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.byteLength;
  }
  return all;
}

function box(type, ...contents) {
  const head = new Uint8Array(HEADER);
  viewOf(head).setUint32(0, HEADER + contents.reduce((sum, one) => sum + one.byteLength, 0));
  head.set([...type].map((letter) => letter.charCodeAt(0)), 4);
  return concatenate([head, ...contents]);
}

/** Whether it is an initialisation segment and no fragment. */
export const isInitSegment = (bytes) => typeAt(viewOf(bytes), 0) === "ftyp";

/**
 * The tracks of an initialisation segment, each with one of its own, as if it were alone: a browser is given those that it
 * can play. The codecs stand in the media type in the order of the tracks.
 */
export function parseTracks(init, mediaType) {
  const codecs = (mediaType.match(/codecs="([^"]*)"/)?.[1] ?? "").split(",");
  const view = viewOf(init);
  const slice = ({ start, end }) => init.subarray(start, end);
  const moov = find(view, 0, init.length, ["moov"]);
  const parts = boxes(view, moov.start + HEADER, moov.end);
  const mvex = parts.find(({ type }) => type === "mvex");
  const extensions = boxes(view, mvex.start + HEADER, mvex.end);
  const isOf = (one, id) => one.type !== "trex" || view.getUint32(one.start + HEADER + 4) === id;
  return parts.filter(({ type }) => type === "trak").map((trak, index) => {
    const inside = (...path) => find(view, trak.start + HEADER, trak.end, path);
    const times = (one) => (view.getUint8(one.start + HEADER) ? 16 : 8);
    const [tkhd, mdhd, hdlr] = [inside("tkhd"), inside("mdia", "mdhd"), inside("mdia", "hdlr")];
    const id = view.getUint32(tkhd.start + HEADER + 4 + times(tkhd));
    const others = parts.filter(({ type }) => type !== "trak" && type !== "mvex").map(slice);
    const own = box("mvex", ...extensions.filter((one) => isOf(one, id)).map(slice));
    return {
      id,
      kind: typeAt(view, hdlr.start + HEADER + 4) === "vide" ? "video" : "audio",
      codec: codecs[index] ?? "",
      timescale: view.getUint32(mdhd.start + HEADER + 4 + times(mdhd)),
      init: concatenate([init.subarray(0, moov.start), box("moov", ...others, slice(trak), own)]),
    };
  });
}

/**
 * A fragment: the frame's track, its times in seconds, up to what time all frames have come with it, whether a decoder can
 * start there, and the fragment's bytes, which `decodeAt` changes.
 */
export function parseFragment(bytes, tracks) {
  const view = viewOf(bytes);
  const inside = (type) => find(view, 0, bytes.length, ["moof", "traf", type]);
  const [tfhd, tfdt, trun] = [inside("tfhd"), inside("tfdt"), inside("trun")];
  const id = view.getUint32(tfhd.start + HEADER + 4);
  const track = tracks.find((one) => one.id === id);
  if (!track) return undefined;
  const flags = view.getUint32(trun.start + HEADER) & 0xffffff;
  let at = trun.start + HEADER + 8;
  const next = (flag) => {
    if (!(flags & flag)) return undefined;
    at += 4;
    return at - 4;
  };
  const offsets = [0x1, 0x4, 0x100, 0x200, 0x400, 0x800].map(next);
  const [, , durationAt, , flagsAt, offsetAt] = offsets;
  const decodeAt = tfdt.start + HEADER + 4;
  const decodes = Number(view.getBigUint64(decodeAt));
  const duration = view.getUint32(durationAt);
  const shown = decodes + (offsetAt ? view.getInt32(offsetAt) : 0);
  return {
    track,
    start: shown / track.timescale,
    end: (shown + duration) / track.timescale,
    complete: (decodes + duration) / track.timescale,
    isKey: track.kind === "audio" || !(view.getUint32(flagsAt) & 0x10000),
    decodes,
    duration,
    bytes,
    /** Lets it be decoded earlier than it says, and shown when it says. */
    decodeAt(time) {
      view.setBigUint64(decodeAt, BigInt(time));
      view.setInt32(offsetAt, shown - time);
    },
    /** The coded frame alone. */
    coded() {
      const mdat = boxes(view, 0, bytes.length).find(({ type }) => type === "mdat");
      return bytes.subarray(mdat.start + HEADER, mdat.end);
    },
  };
}

/** Takes bytes however they were cut on their way; whole initialisation segments and fragments come out. */
export class FragmentParser {
  #rest = new Uint8Array();

  push(bytes) {
    const all = this.#rest.length ? concatenate([this.#rest, bytes]) : bytes;
    const view = viewOf(all);
    const found = [];
    let start = 0;
    for (const { type, end } of boxes(view, 0, all.length)) {
      if (type === "moov" || type === "mdat") {
        found.push(all.slice(start, end));
        start = end;
      }
    }
    this.#rest = all.slice(start);
    return found;
  }
}
