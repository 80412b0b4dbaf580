"""The QR code in a picture is read, whatever the picture is like; nothing else comes of a picture."""

import struct
import zlib
from io import BytesIO

import pytest
from PIL import Image, ImageFilter

from issuer.collect.qr import qr_png
from wallet_sim.pictures import MAX_PIXELS, MAX_SIDE, PictureUnreadable, read_qr_code

LINK = "openid-credential-offer://?credential_offer_uri=https%3A%2F%2Fcity.example%2Foffers%2FäÖ1234567890"


def picture(form: str = "PNG", *, mode: str = "L", angle: float = 0, blur: float = 0, size: int | None = None) -> bytes:
    """The issuer's own QR code, as somebody might have taken it."""
    image = Image.open(BytesIO(qr_png(LINK))).convert("L")
    if size is not None:
        image = image.resize((size, size))
    if angle:
        image = image.rotate(angle, expand=True, fillcolor=255)
    if blur:
        image = image.filter(ImageFilter.GaussianBlur(blur))
    if mode == "RGBA":  # black on nothing
        shape = image.point(lambda value: 255 - value)
        image = Image.new("RGBA", image.size, (0, 0, 0, 0))
        image.putalpha(shape)
    out = BytesIO()
    image.save(out, form)
    return out.getvalue()


@pytest.mark.parametrize(
    "taken",
    [
        qr_png(LINK),
        picture("JPEG", angle=17, blur=1.5),
        picture("JPEG", size=7000),
        picture("WEBP"),
        picture("GIF"),
        picture("PNG", mode="RGBA"),
    ],
    ids=["as the issuer draws it", "photographed", "large", "webp", "gif", "transparent"],
)
def test_code_is_read(taken: bytes) -> None:
    assert read_qr_code(taken) == LINK


def _claiming(width: int, height: int) -> bytes:
    """A PNG that says that it is as large as that."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunk = b"IHDR" + header
    data = b"IDAT" + zlib.compress(b"")
    chunks = [struct.pack(">I", len(each) - 4) + each + struct.pack(">I", zlib.crc32(each)) for each in (chunk, data)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize(
    ("taken", "why"),
    [
        (b"", "no picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no picture"),
        (picture()[:200], "no picture"),
        (_claiming(MAX_PIXELS // 1000 + 1, 1000), "too large"),
        (_claiming(60_000, 60_000), "no picture"),
        (_claiming(MAX_SIDE + 1, 1), "too large"),
        (picture("BMP")[:28] + b"\x07" + picture("BMP")[29:], "no picture"),
        (picture("TIFF"), "no picture"),
    ],
    ids=[
        "nothing",
        "svg",
        "cut off",
        "too many pixels",
        "far too many",
        "too long a side",
        "an odd depth",
        "another format",
    ],
)
def test_what_is_no_picture_is_said(taken: bytes, why: str) -> None:
    with pytest.raises(PictureUnreadable, match=why):
        read_qr_code(taken)


def test_picture_without_a_code_is_said() -> None:
    out = BytesIO()
    Image.new("L", (300, 300), 255).save(out, "PNG")

    with pytest.raises(PictureUnreadable, match="no QR code"):
        read_qr_code(out.getvalue())
