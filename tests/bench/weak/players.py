#!/usr/bin/env python3
"""How late players are when a link that was too weak is good again: players.py GORTMP [NAME…]

Plays a stream of 4 Mbit/s with a clock in the video, through a link of 3 Mbit/s for 30 s and of 20 Mbit/s for 60 s
more, with each of the players below, on a screen of its own (Xvfb), and reads the clock from that screen. Prints a
table. GORTMP is the server's program; NAME@20 begins with 20 Mbit/s, too, for comparison. Takes root, ffmpeg, Xvfb, and of the players those that are asked for.
"""

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
MODULES = HERE.parent.parent / "browser/node_modules"
SERVER, PLAYER = f"gortmp-{os.getpid()}-server", f"gortmp-{os.getpid()}-player"
NEAR, FAR = "10.99.10.1", "10.99.11.1"
RTMP, HTTP = f"rtmp://{FAR}/live/cam", f"http://{FAR}:8080/live/cam"
WIDTH, HEIGHT, BITS, BLOCK, RATE = 640, 360, 32, 20, 25
WEAK, GOOD = 30, 60
WEAK_RATE, GOOD_RATE = 3, 20
# A busy machine must not be taken for a late player.
PRIORITY = ["chrt", "--rr", "3"]

VLC = "cvlc -q --no-video-title-show --fullscreen --vout=xcb_x11 --no-xlib --aout=adummy"
MPV = "mpv --really-quiet --vo=x11 --ao=null --fullscreen --osc=no --osd-level=0"
FFPLAY = "ffplay -v error -fs"
PAGE = "chrt --other 0 nice -n -15 chromium --no-sandbox --kiosk --no-first-run --disable-gpu --autoplay-policy=no-user-gesture-required"
# Names, and how each is started.
PLAYERS = {
    "ffplay": f"{FFPLAY} {RTMP}",
    "ffplay-nobuffer": f"{FFPLAY} -fflags nobuffer -flags low_delay -framedrop {RTMP}",
    "ffplay-video-clock": f"{FFPLAY} -fflags nobuffer -sync video -framedrop {RTMP}",
    "ffplay-http": f"{FFPLAY} -fflags nobuffer {HTTP}.flv",
    "vlc": f"{VLC} {RTMP}",
    "vlc-caching-300": f"{VLC} --network-caching=300 {RTMP}",
    "vlc-http": f"{VLC} --network-caching=300 {HTTP}.flv",
    "vlc-http-jitter-0": f"{VLC} --network-caching=300 --clock-jitter=0 {HTTP}.flv",
    "mpv": f"{MPV} {RTMP}",
    "mpv-low-latency": f"{MPV} --profile=low-latency {RTMP}",
    "mpv-low-latency-untimed": f"{MPV} --profile=low-latency --untimed {RTMP}",
    "mpv-low-latency-http": f"{MPV} --profile=low-latency {HTTP}.flv",
    "mpegts.js": "page mpegts.js {}",
    "mpegts.js-chasing": "page mpegts.js {liveBufferLatencyChasing: true}",
    "mpegts.js-sync": "page mpegts.js {liveSync: true}",
    "hls.js": "page hls.js {}",
    "hls.js-low-latency": "page hls.js {lowLatencyMode: true, maxLiveSyncPlaybackRate: 1.5}",
}

SCRIPTS = {
    "mpegts.js": """
        const player = mpegts.createPlayer({type: "flv", isLive: true, url: "HTTP.flv"}, OPTIONS);
        player.attachMediaElement(video); player.load(); player.play()?.catch(() => {});""",
    "hls.js": """
        const hls = new Hls(OPTIONS); hls.loadSource("HTTP/index.m3u8"); hls.attachMedia(video);
        hls.on(Hls.Events.MANIFEST_PARSED, () => video.play().catch(() => {}));""",
}


def inside(namespace, command, **more):
    words = command.split() if isinstance(command, str) else command
    return subprocess.Popen([*PRIORITY, "ip", "netns", "exec", namespace, *words], start_new_session=True, **more)


def end(process):
    """Ends what was started, and what that has started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def ip(command, check=True):
    subprocess.run(["ip", *command.split()], check=check, stderr=None if check else subprocess.DEVNULL)


def take_down():
    for namespace in (SERVER, PLAYER):
        inside_it = subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True).stdout
        for pid in inside_it.split():
            os.kill(int(pid), signal.SIGKILL)
        ip(f"netns delete {namespace}", check=False)


def set_up():
    take_down()
    for namespace in (SERVER, PLAYER):
        ip(f"netns add {namespace}")
        ip(f"-n {namespace} link set lo up")
        inside(namespace, "sysctl -qw net.ipv4.tcp_congestion_control=reno").wait()
    ip(f"-n {SERVER} address add {NEAR}/32 dev lo")


def camera():
    """Publishes video frames that show in blocks when they were made, with noise below, and a tone."""
    url = f"rtmp://{NEAR}/live/cam"
    raw = f"-f rawvideo -pix_fmt gray -video_size {WIDTH}x{HEIGHT} -framerate {RATE}"
    pipe = f"-fflags nobuffer -probesize 32 {raw} -use_wallclock_as_timestamps 1 -i -"
    coding = "-c:v libx264 -preset ultrafast -tune zerolatency -pix_fmt yuv420p -g 50 -b:v 3900k -maxrate 3900k -bufsize 1950k"
    audio = "-f lavfi -i sine=440:sample_rate=44100"
    command = f"ffmpeg -v error {pipe} {audio} {coding} -c:a aac -b:a 96k -f flv {url}"
    encoder = inside(SERVER, command, stdin=subprocess.PIPE)
    pid = os.fork()
    if pid:
        return encoder, pid
    due = time.time()
    while True:
        due = max(due + 1 / RATE, time.time() - 1 / RATE)
        time.sleep(max(0, due - time.time()))
        clock = int(time.time() * 1000) % 2**BITS
        row = b"".join((b"\xeb" if clock >> bit & 1 else b"\x10") * BLOCK for bit in range(BITS))
        noise = b"\x80" * (40 * WIDTH) + os.urandom(80 * WIDTH)
        encoder.stdin.write(row * 60 + noise + b"\x80" * (WIDTH * (HEIGHT - 180)))
        encoder.stdin.flush()


def read_screen(seconds):
    """When a clock was seen on the screen, and how old it was, in milliseconds."""
    grab = f"ffmpeg -v error -f x11grab -framerate 10 -draw_mouse 0 -video_size {WIDTH}x60 -i {os.environ['DISPLAY']} -pix_fmt gray"
    process = subprocess.Popen([*PRIORITY, *grab.split(), "-f", "rawvideo", "-"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    begun, seen = time.time(), []
    while time.time() < begun + seconds:
        frame = process.stdout.read(WIDTH * 60)
        now = time.time()
        bits = (frame[30 * WIDTH + bit * BLOCK + BLOCK // 2] > 128 for bit in range(BITS))
        age = (int(now * 1000) - sum(1 << bit for bit, is_set in enumerate(bits) if is_set)) % 2**BITS
        if age < 120_000:
            seen.append((now - begun, age))
    end_plain(process)
    return seen


def end_plain(process):
    process.kill()
    process.wait()


def start(command, folder):
    environment = {**os.environ, "SDL_AUDIODRIVER": "dummy", "HOME": folder}
    if command.startswith("page "):
        _, library, options = command.split(" ", 2)
        script = SCRIPTS[library].replace("HTTP", HTTP).replace("OPTIONS", options)
        source = (MODULES / f"{library}/dist/{library}").read_text()
        page = Path(folder, "page.html")
        page.write_text(
            "<style>* {margin: 0} video {position: fixed; width: 100vw; height: 100vh}</style><video muted></video>"
            f"<script>{source}</script><script>const video = document.querySelector('video'); {script}</script>"
        )
        command = f"{PAGE} --user-data-dir={folder}/profile --window-position=0,0 --window-size={WIDTH},{HEIGHT} file://{page}"
    if command.startswith("cvlc"):
        # It refuses to be run by root.
        os.chmod(folder, 0o777)
        command = f"setpriv --reuid=65534 --regid=65534 --clear-groups {command}"
    return inside(PLAYER, command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def measure(asked, gortmp):
    name, _, rate = asked.partition("@")
    set_up()
    ends = [SERVER, FAR, PLAYER, FAR[:-1] + "2"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    link = subprocess.Popen([HERE / "link.py", f"--rate={rate or WEAK_RATE}", *ends], text=True, **pipes)
    link.stdout.readline()
    with tempfile.TemporaryDirectory() as folder:
        listen = f"-q -l 0.0.0.0:1935 --http 0.0.0.0:8080 --cors * -d {folder}"
        server = inside(SERVER, f"{gortmp} {listen}")
        time.sleep(0.5)
        encoder, feeder = camera()
        time.sleep(3)
        player = start(PLAYERS[name], folder)
        seen = read_screen(WEAK)
        link.stdin.write(f"rate {GOOD_RATE}\n")
        link.stdin.flush()
        seen += [(WEAK + at, age) for at, age in read_screen(GOOD)]
        for process in (player, encoder, server):
            end(process)
        os.kill(feeder, signal.SIGKILL)
        os.waitpid(feeder, 0)
    link.stdin.close()
    link.wait()

    def around(time):
        ages = [age for at, age in seen if time - 5 <= at < time]
        return f"{statistics.median(ages) / 1000:.1f}" if ages else "nothing"

    print(f"| {asked} | {around(WEAK)} | {around(WEAK + 10)} | {around(WEAK + GOOD)} |", flush=True)


def main():
    gortmp, *names = sys.argv[1:]
    xvfb = ["Xvfb", "-displayfd", "1", "-ac", "-screen", "0", f"{WIDTH}x{HEIGHT}x24"]
    screen = subprocess.Popen(xvfb, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    os.environ["DISPLAY"] = ":" + screen.stdout.readline().strip()
    try:
        print("| player | late at the end of the weak link, s | 10 s later | a minute later |\n|---|---|---|---|", flush=True)
        for name in names or PLAYERS:
            measure(name, gortmp)
    finally:
        end_plain(screen)
        take_down()


main()
