#!/usr/bin/env python3
"""A weak link between two network namespaces that are there: link.py [OPTIONS] NAMESPACE ADDRESS NAMESPACE ADDRESS

Puts a TUN device with its address into each and carries packets from one to the other: later, some not at all, no
more than so many bits a second, and none for a while, as Wi-Fi and mobile networks do. Order is kept, as they keep it.
Says "ready", works until its standard input ends, and takes the devices with it. A line there such as "rate 20" sets
an option anew. Root, iproute2 and Python are all it
needs: the kernel's own emulator (netem) is missing on many machines that run tests.
"""

import argparse
import collections
import ctypes
import fcntl
import os
import random
import select
import struct
import subprocess
import sys
import time

DEVICE = "weak"
MTU = 1500
CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000


def open_device(namespace):
    """A TUN device in that namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    home, away = os.open("/proc/self/ns/net", os.O_RDONLY), os.open(f"/run/netns/{namespace}", os.O_RDONLY)

    def enter(place):
        if libc.setns(place, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"entering {namespace}")

    enter(away)
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", DEVICE.encode(), IFF_TUN | IFF_NO_PI))
    enter(home)
    os.close(home)
    os.close(away)
    return device


def ip(*words):
    subprocess.run(["ip", *words], check=True)


class Direction:
    """One way through the link, into a device."""

    def __init__(self, options, device, chance):
        self.options, self.device, self.chance = options, device, chance
        # Packets with the time of their arrival, in order.
        self.under_way = collections.deque()
        # When the last bit of what has been taken is sent, and when the last packet arrives.
        self.busy_until = self.last_arrival = 0.0
        self.taken = self.lost = self.dropped = 0

    def take(self, packet, now, start):
        options = self.options
        self.taken += 1
        if self.chance.random() * 100 < options.loss:
            self.lost += 1
            return
        begins = max(now, self.busy_until)
        if begins - now > options.queue / 1000:
            self.dropped += 1
            return
        self.busy_until = begins + len(packet) * 8 / (options.rate * 1e6)
        arrival = self.busy_until + (options.delay + self.chance.random() * options.jitter) / 1000
        if options.every:
            # What comes while the link is gone waits for it, as Wi-Fi's own retries make it wait.
            phase = (arrival - start) % options.every
            if phase < options.gone / 1000:
                arrival += options.gone / 1000 - phase
        self.last_arrival = max(arrival, self.last_arrival)
        self.under_way.append((self.last_arrival, packet))

    def deliver(self, now):
        while self.under_way and self.under_way[0][0] <= now:
            try:
                os.write(self.device, self.under_way.popleft()[1])
            except OSError:
                # The reader's queue is full, or its end is going down: a loss like others.
                self.dropped += 1

    def next_arrival(self):
        return self.under_way[0][0] if self.under_way else float("inf")


def carry(devices, directions, options):
    """Carries packets until the standard input ends."""
    start = time.monotonic()
    while True:
        now = time.monotonic()
        for direction in directions.values():
            direction.deliver(now)
        wait = min(direction.next_arrival() for direction in directions.values()) - time.monotonic()
        readable, _, _ = select.select([*devices, sys.stdin], [], [], min(max(wait, 0.0), 1.0))
        for source in readable:
            if source is sys.stdin:
                words = sys.stdin.readline().split()
                if not words:
                    return
                setattr(options, words[0], float(words[1]))
                continue
            for _ in range(64):
                try:
                    packet = os.read(source, MTU + 100)
                except BlockingIOError:
                    break
                directions[source].take(packet, time.monotonic(), start)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    number = {"type": float, "metavar": "N"}
    parser.add_argument("--delay", default=15, help="milliseconds each way [15]", **number)
    parser.add_argument("--jitter", default=10, help="at most so many more, by chance [10]", **number)
    parser.add_argument("--loss", default=0, help="per cent of the packets, each way [0]", **number)
    parser.add_argument("--rate", default=20, help="Mbit/s each way [20]", **number)
    parser.add_argument("--queue", default=200, help="milliseconds that packets may wait for their turn [200]", **number)
    parser.add_argument("--every", default=0, help="seconds after which it is gone again; 0: never [0]", **number)
    parser.add_argument("--gone", default=400, help="for so many milliseconds [400]", **number)
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of what comes by chance [1]")
    parser.add_argument("ends", nargs=4, metavar="NAMESPACE ADDRESS")
    options = parser.parse_args()
    namespaces, addresses = options.ends[::2], options.ends[1::2]
    devices = [open_device(namespace) for namespace in namespaces]
    for namespace, address in zip(namespaces, addresses):
        ip("-n", namespace, "address", "add", f"{address}/24", "dev", DEVICE)
        ip("-n", namespace, "link", "set", DEVICE, "mtu", str(MTU), "up")
    chance = random.Random(options.seed)
    there, back = (Direction(options, device, chance) for device in reversed(devices))
    try:
        # A busy machine must not be a worse link than asked for.
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(5))
    except OSError:
        pass
    print("ready", flush=True)
    carry(devices, dict(zip(devices, (there, back))), options)
    for direction, what in ((there, "there"), (back, "back")):
        counts = f"{direction.taken} packets, {direction.lost} lost, {direction.dropped} over the queue"
        print(f"{what}: {counts}", file=sys.stderr)


main()
