"""Reads the QR code in a picture: one that somebody chose, dropped or pasted, or that a camera took."""

from io import BytesIO

import zxingcpp
from PIL import Image, UnidentifiedImageError

MAX_PICTURE = 12 * 1024 * 1024  # bytes
MAX_PIXELS = 20_000_000  # that are read; a screen has fewer
MAX_SIDE = 65_535  # pixels
FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP")
_BEGINNINGS = (b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF8", b"RIFF")
_WIDE_ENOUGH = 2000  # pixels of a JPEG; larger ones are read smaller


class PictureUnreadable(ValueError):
    """It is no picture, too large a one, or there is no QR code in it."""


def is_picture(data: bytes) -> bool:
    """Whether it begins like one, of the formats whose beginning is no text."""
    return data.startswith(_BEGINNINGS)


def read_qr_code(picture: bytes) -> str:
    """What the first QR code in a picture says.

    Raises:
        PictureUnreadable: there is none that can be read.
    """
    try:
        with Image.open(BytesIO(picture), formats=FORMATS) as image:
            image.draft("L", (_WIDE_ENOUGH, _WIDE_ENOUGH))
            if image.width * image.height > MAX_PIXELS or max(image.size) > MAX_SIDE:
                raise PictureUnreadable("the picture is too large")
            qr_codes = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)
            found = zxingcpp.read_barcodes(_grey(image), formats=qr_codes)
    except PictureUnreadable:
        raise
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise PictureUnreadable("this is no picture that can be read") from error
    if not found:
        raise PictureUnreadable("there is no QR code in the picture")
    return found[0].text


def _grey(image: Image.Image) -> Image.Image:
    """On white where the picture lets something shine through."""
    if not image.has_transparency_data:
        return image.convert("L")
    seen = Image.new("RGBA", image.size, "white")
    seen.alpha_composite(image.convert("RGBA"))
    return seen.convert("L")
