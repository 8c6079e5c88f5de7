"""Files that a camera, a person or an attacker may drop, made on the spot."""

import io
import struct
import zlib

from PIL import Image


def jpeg(width: int = 200, height: int = 200, shade: int = 128) -> bytes:
    """A plain grey picture that can be judged."""
    buffer = io.BytesIO()
    Image.new("L", (width, height), shade).save(buffer, "JPEG")
    return buffer.getvalue()


def _noise(kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((200, 200), 60).save(buffer, kind, **options)
    return buffer.getvalue()


def animated_gif() -> bytes:
    frames = [Image.new("L", (200, 200), shade) for shade in (10, 200)]
    return _noise("GIF", save_all=True, append_images=frames)


def png_bomb(side: int = 30_000) -> bytes:
    """A PNG of side × side pixels in about 110 kB, written row by row so that the test stays small too."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    squeeze = zlib.compressobj(9)
    row = bytes(1 + (side + 7) // 8)
    data = b"".join(squeeze.compress(row) for _ in range(side)) + squeeze.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


# name -> bytes; every one of them must end in a record with the verdict `unreadable`
UNREADABLE = {
    "empty.jpg": lambda: b"",
    "text.jpg": lambda: b"this is a shopping list, not a picture\n" * 20,
    "truncated.jpg": lambda: _noise("JPEG", quality=95)[:4000],
    "one-pixel.png": lambda: jpeg(1, 1),
    "bomb.png": png_bomb,
    "animated.gif": animated_gif,
    "fifty-megabytes.jpg": lambda: jpeg() + bytes(50 * 1024 * 1024),
}

# Serials that break naive decoding of S3's event keys.
AWKWARD_SERIALS = ("a+b", "a%2Bb", "a b  c", "部品 0001", "100%", "ünï/çödé", "semi;colon&amp", "q?x=1#y")
