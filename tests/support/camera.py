#!/usr/bin/python3
"""A network camera: serves rtsp://127.0.0.1:PORT/stream with GStreamer's RTSP server, and writes down what it sends.

Each session has an encoder of its own. A line of the record for each access unit or audio frame as it goes to the
payloader: session, kind, presentation time in ms, time of day in ms when its first sample was taken, bytes in hex.
The top 8 lines of video frame N are 40 strips of 8 pixels: N in the first 16, lowest bit first. Audio is silent but
for a beep of 50 ms that begins with each frame whose number is a multiple of the frame rate.

SIGUSR1 stops it sending while everything else goes on, as when an encoder hangs, and SIGUSR2 ends that.
"""

import argparse
import array
import math
import signal
import threading
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

WIDTH, HEIGHT = 320, 240
STRIP = 8
X264 = "x264enc speed-preset=ultrafast bitrate=400 key-int-max={fps} threads=2 "
BYTE_STREAM = "video/x-h264,stream-format=byte-stream,alignment=au"
VIDEO = {
    "h264": X264 + "tune=zerolatency ! " + BYTE_STREAM + " ! {tap} ! rtph264pay",
    "h264-b-frames": X264 + "bframes=2 b-adapt=false rc-lookahead=0 sync-lookahead=0 sliced-threads=true ! "
    + BYTE_STREAM + ",profile=main ! {tap} ! rtph264pay",
    "hevc": "x265enc tune=zerolatency speed-preset=ultrafast bitrate=400 key-int-max={fps} ! "
    "video/x-h265,stream-format=byte-stream,alignment=au ! {tap} ! rtph265pay",
    "mjpeg": "jpegenc ! {tap} ! rtpjpegpay",
}
# Samples a second, and how they are coded.
AUDIO = {
    "aac": (16000, "audioconvert ! avenc_aac bitrate=32000 ! aacparse ! audio/mpeg,stream-format=raw ! {tap} ! rtpmp4gpay"),
    "pcma": (8000, "alawenc ! {tap} ! rtppcmapay"),
    "pcmu": (8000, "mulawenc ! {tap} ! rtppcmupay"),
    "l16": (16000, "audioconvert ! audio/x-raw,format=S16BE ! {tap} ! rtpL16pay"),
    "opus": (48000, "opusenc bitrate=32000 ! {tap} ! rtpopuspay"),
}
BLOCK_MS = 20


def strips(number):
    row = b"".join((b"\xeb" if number >> bit & 1 else b"\x10") * STRIP for bit in range(WIDTH // STRIP))
    return row * STRIP


class Session:
    """The encoder of one session: makes samples in real time and pushes them into its pipeline."""

    def __init__(self, camera, number, element):
        self.camera, self.number, self.pipeline = camera, number, element
        self.video, self.audio = (element.get_by_name(name) for name in ("video", "audio"))
        self.ended = False
        self.taken = {}
        for kind in ("video", "audio"):
            tap = element.get_by_name(f"{kind}-tap")
            if tap:
                tap.get_static_pad("src").add_probe(Gst.PadProbeType.BUFFER, self.sent, kind)
        threading.Thread(target=self.run, daemon=True).start()

    def sent(self, pad, info, kind):
        buffer = info.get_buffer()
        # x264 puts its times off by 1,000 h and says so in the segment.
        segment = pad.get_sticky_event(Gst.EventType.SEGMENT, 0).parse_segment()
        ms = segment.to_running_time(Gst.Format.TIME, buffer.pts) / Gst.MSECOND
        mapped = buffer.extract_dup(0, buffer.get_size())
        made = self.epoch + ms
        self.camera.write(f"{self.number} {kind} {ms:.3f} {made:.3f} {mapped.hex()}\n")
        return Gst.PadProbeReturn.OK

    def run(self):
        while not self.ended and self.pipeline.get_state(0)[1] != Gst.State.PLAYING:
            time.sleep(0.005)
        if self.ended:
            return
        clock, base = self.pipeline.get_clock(), self.pipeline.get_base_time()
        start = clock.get_time() - base
        self.epoch = time.time() * 1000 - start / Gst.MSECOND
        frame = block = 0
        while not self.ended:
            frame_due = start + frame * Gst.SECOND // self.camera.fps if self.video else Gst.CLOCK_TIME_NONE
            block_due = start + block * BLOCK_MS * Gst.MSECOND if self.audio else Gst.CLOCK_TIME_NONE
            # A frame is there when its time has come, a block of samples when it is over.
            ready = min(frame_due, block_due + BLOCK_MS * Gst.MSECOND)
            wait = ready + base - clock.get_time()
            if wait > 0:
                time.sleep(wait / Gst.SECOND)
            if frame_due == ready:
                self.push(self.video, self.camera.frame(frame), frame_due, Gst.SECOND // self.camera.fps)
                frame += 1
            else:
                self.push(self.audio, self.camera.block(block), block_due, BLOCK_MS * Gst.MSECOND)
                block += 1

    def push(self, source, data, time_stamp, duration):
        if self.camera.hangs:
            return
        buffer = Gst.Buffer.new_wrapped(data)
        buffer.pts, buffer.duration = time_stamp, duration
        source.emit("push-buffer", buffer)


class Camera:
    def __init__(self, options):
        self.fps, self.hangs, self.sessions = options.fps, False, 0
        self.record = open(options.record, "a")
        self.lock = threading.Lock()
        self.ramp = bytes(range(32, 224)) * (WIDTH * HEIGHT // 192 + 2)
        self.rate, audio = AUDIO.get(options.audio, (0, None))
        samples = (round(8000 * math.sin(2 * math.pi * 1000 * n / self.rate)) for n in range(self.rate // 20))
        self.beep = array.array("h", samples) if audio else None

        parts = []
        if options.video != "none":
            coded = VIDEO[options.video].format(tap="identity name=video-tap", fps=self.fps)
            raw = f"video/x-raw,format=I420,width={WIDTH},height={HEIGHT},framerate={self.fps}/1"
            parts.append(f"appsrc name=video is-live=true format=time caps={raw} ! {coded} pt=96 name=pay{len(parts)}")
        if audio:
            coded = audio.format(tap="identity name=audio-tap")
            raw = f"audio/x-raw,format=S16LE,layout=interleaved,channels=1,rate={self.rate}"
            fixed = {"pcma": 8, "pcmu": 0}.get(options.audio, 97)
            parts.append(f"appsrc name=audio is-live=true format=time caps={raw} ! {coded} pt={fixed} "
                         f"name=pay{len(parts)}")

        self.server = GstRtspServer.RTSPServer()
        self.server.set_address("127.0.0.1")
        self.server.set_service(str(options.port))
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch("( " + " ".join(parts) + " )")
        factory.connect("media-configure", self.configure)
        if options.user:
            self.protect(factory, options.user, options.password)
        self.server.get_mount_points().add_factory("/stream", factory)
        self.server.attach(None)
        print(f"rtsp://127.0.0.1:{self.server.get_bound_port()}/stream", flush=True)

    def protect(self, factory, user, password):
        auth = GstRtspServer.RTSPAuth()
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "user")
        auth.add_digest(user, password, token)
        self.server.set_auth(auth)
        permissions = GstRtspServer.RTSPPermissions()
        permissions.add_permission_for_role("user", "media.factory.access", True)
        permissions.add_permission_for_role("user", "media.factory.construct", True)
        factory.set_permissions(permissions)

    def configure(self, factory, media):
        # A camera sends what it has; it doesn't keep video back until audio is as far.
        media.set_rate_control(False)
        self.sessions += 1
        session = Session(self, self.sessions, media.get_element())
        media.connect("unprepared", lambda _: setattr(session, "ended", True))

    def frame(self, number):
        # A ramp that moves, so that there is something to code.
        luma = self.ramp[number * 3 % 192:][:WIDTH * (HEIGHT - STRIP)]
        return strips(number & 0xffff) + luma + b"\x80" * (WIDTH * HEIGHT // 2)

    def block(self, number):
        count = self.rate * BLOCK_MS // 1000
        first = number * count % self.rate
        beep = self.beep[first:first + count]
        return (beep + array.array("h", bytes(2 * (count - len(beep))))).tobytes()

    def write(self, line):
        with self.lock:
            self.record.write(line)
            self.record.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--record", required=True)
    parser.add_argument("--video", choices=[*VIDEO, "none"], default="h264")
    parser.add_argument("--audio", choices=[*AUDIO, "none"], default="aac")
    parser.add_argument("--fps", type=int, default=25)
    parser.add_argument("--user")
    parser.add_argument("--password")
    options = parser.parse_args()
    Gst.init(None)
    camera = Camera(options)

    def hang(hangs):
        camera.hangs = hangs
        return True

    GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, signal.SIGUSR1, hang, True)
    GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, signal.SIGUSR2, hang, False)
    GLib.MainLoop().run()


main()
