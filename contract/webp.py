"""WebP, decoded at a smaller size: Pillow decodes it in full only, and needs 16 bytes for each pixel.

The functions are those of the libwebp that Pillow itself loads. Where they cannot be had, such as in a Pillow that is
linked in another way, the picture is decoded by Pillow.

Source: libwebp 1.6, src/webp/decode.h ("Advanced decoding API").
"""

from __future__ import annotations

import ctypes
from functools import cache

from PIL import Image, features

_ABI = 0x0210  # WEBP_DECODER_ABI_VERSION; only its upper byte must be the same
_RGBA = 1  # WEBP_CSP_MODE
_OK = 0  # VP8StatusCode


class _Features(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int) for name in ("width", "height", "has_alpha", "has_animation", "format")),
        ("pad", ctypes.c_uint32 * 5),
    )


class _Rgba(ctypes.Structure):
    _fields_ = (("pixels", ctypes.c_void_p), ("stride", ctypes.c_int), ("size", ctypes.c_size_t))


class _Yuva(ctypes.Structure):
    _fields_ = (
        ("planes", ctypes.c_void_p * 4),
        ("strides", ctypes.c_int * 4),
        ("sizes", ctypes.c_size_t * 4),
    )


class _Planes(ctypes.Union):
    _fields_ = (("rgba", _Rgba), ("yuva", _Yuva))


class _Output(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int) for name in ("colorspace", "width", "height", "is_external_memory")),
        ("planes", _Planes),
        ("pad", ctypes.c_uint32 * 4),
        ("private_memory", ctypes.c_void_p),
    )


class _Options(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int) for name in ("bypass_filtering", "no_fancy_upsampling", "use_cropping")),
        *((f"crop_{name}", ctypes.c_int) for name in ("left", "top", "width", "height")),
        *((name, ctypes.c_int) for name in ("use_scaling", "scaled_width", "scaled_height", "use_threads")),
        *((name, ctypes.c_int) for name in ("dithering_strength", "flip", "alpha_dithering_strength")),
        ("pad", ctypes.c_uint32 * 5),
    )


class _Config(ctypes.Structure):
    _fields_ = (("input", _Features), ("output", _Output), ("options", _Options))


def decode_scaled(data: bytes, size: tuple[int, int]) -> Image.Image | None:
    """Return a still WebP picture as RGBA of a size; each pixel is the mean of those that it stands for.

    Args:
        data: The file.
        size: Width and height, neither larger than the picture's own.

    Returns:
        The picture; None if this machine's libwebp cannot be used, or cannot decode the file.
    """
    library = _library()
    if library is None:
        return None
    config = _Config()
    if not library.WebPInitDecoderConfigInternal(ctypes.byref(config), _ABI):
        return None
    width, height = size
    pixels = bytearray(4 * width * height)
    memory = (ctypes.c_char * len(pixels)).from_buffer(pixels)
    config.options.use_scaling, config.options.scaled_width, config.options.scaled_height = 1, width, height
    config.output.colorspace, config.output.is_external_memory = _RGBA, 1
    config.output.planes.rgba = _Rgba(ctypes.addressof(memory), 4 * width, len(pixels))
    if library.WebPDecode(data, len(data), ctypes.byref(config)) != _OK:
        return None
    return Image.frombuffer("RGBA", size, pixels, "raw", "RGBA", 0, 1)


@cache
def _library() -> ctypes.CDLL | None:
    """Return the libwebp that Pillow has loaded, by the module of Pillow that is linked to it."""
    if not features.check("webp"):
        return None
    from PIL import _webp

    try:
        library = ctypes.CDLL(_webp.__file__)
        library.WebPDecode.argtypes = (ctypes.c_char_p, ctypes.c_size_t, ctypes.POINTER(_Config))
        library.WebPInitDecoderConfigInternal.argtypes = (ctypes.POINTER(_Config), ctypes.c_int)
    except (OSError, AttributeError):
        return None
    return library
