"""A heat map drawn over its picture: alerts, the pages of an evaluation and the dashboard use the same colours.

The values of the map are 0 (as the good parts are) to 255 (hot). What is cold is not drawn at all, so that the picture
stays as it is. From COLD on, a transparent colour goes from yellow over orange to red, and becomes denser. Its
lightness falls steadily, so that the order is seen on bright and on dark metal, and without seeing red and green apart.
"""

from __future__ import annotations

from functools import cache

from PIL import Image

# Up to this value nothing is drawn.
COLD = 64
# How opaque the colour is, of 255, just above COLD and at 255.
FAINT, DENSE = 40, 170
# Red, green and blue at equal steps from COLD to 255.
COLOURS = ((255, 225, 60), (255, 140, 0), (225, 0, 25))

_VALUES = range(256)


def colour(value: int) -> tuple[int, int, int, int]:
    """Return red, green, blue and opacity (of 255) of a value of a heat map.

    Args:
        value: 0..255.

    >>> colour(64), colour(255)
    ((255, 225, 60, 0), (225, 0, 25, 170))
    """
    share = max(0.0, (value - COLD) / (255 - COLD))
    place = share * (len(COLOURS) - 1)
    first = min(int(place), len(COLOURS) - 2)
    red, green, blue = (
        round(low + (high - low) * (place - first))
        for low, high in zip(COLOURS[first], COLOURS[first + 1], strict=True)
    )
    return red, green, blue, round(FAINT + (DENSE - FAINT) * share) if share else 0


def overlay(picture: Image.Image, heat: Image.Image) -> Image.Image:
    """Return the picture with the heat map over it.

    Args:
        picture: Any mode; it is not changed.
        heat: The map, of any size: it is stretched over the picture. Any mode; it is read as grey.

    Returns:
        An RGB image of the picture's size.
    """
    values = heat.convert("L").resize(picture.size, Image.Resampling.BILINEAR)
    channels = [values.point(table) for table in _tables()]
    return Image.composite(Image.merge("RGB", channels[:3]), picture.convert("RGB"), channels[3])


@cache
def _tables() -> list[list[int]]:
    """Red, green, blue and opacity of every value."""
    return [list(channel) for channel in zip(*map(colour, _VALUES), strict=True)]
