import random
import struct
import zlib
from pathlib import Path

from django.core.management.base import BaseCommand

FOLDER = Path(__file__).resolve().parents[2] / "static" / "landing"
WIDTH, HEIGHT = 320, 200
IMAGES = 6
CIRCLES = 40


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(rows):
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def drawing(rng):
    """Rows of a picture: circles on a slope of colour, with a grain that keeps it from compressing to nothing."""
    low, high = ([rng.randrange(40, 220) for _ in range(3)] for _ in range(2))
    circles = [
        (rng.randrange(WIDTH), rng.randrange(HEIGHT), rng.randrange(8, 60) ** 2, rng.randrange(-50, 50))
        for _ in range(CIRCLES)
    ]
    for y in range(HEIGHT):
        row = bytearray()
        for x in range(WIDTH):
            light = sum(shade for cx, cy, r2, shade in circles if (x - cx) ** 2 + (y - cy) ** 2 < r2)
            light += rng.choice((0, 0, 0, 8))
            share = (x + y) / (WIDTH + HEIGHT)
            row += bytes(min(255, max(0, round(a + (b - a) * share) + light)) for a, b in zip(low, high, strict=True))
        yield bytes(row)


class Command(BaseCommand):
    help = "Draws the page's pictures: the same ones each time."

    def handle(self, *args, **options):  # noqa: ARG002
        FOLDER.mkdir(parents=True, exist_ok=True)
        for number in range(1, IMAGES + 1):
            data = png(drawing(random.Random(number)))
            (FOLDER / f"picture-{number}.png").write_bytes(data)
            self.stdout.write(f"picture-{number}.png: {len(data)} bytes")
