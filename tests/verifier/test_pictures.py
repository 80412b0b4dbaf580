"""Pictures of links: what a camera reads in them, and the margin that it needs around (ISO/IEC 18004)."""

import io
import re

import pytest
from PIL import Image
from zxingcpp import BarcodeFormat, read_barcodes

from verifier.request import qr_png, qr_svg

LINKS = (
    "openid4vp://?client_id=a",
    "haip-vp://?client_id=x509_hash%3Ab&request_uri=https%3A%2F%2Fcity.example%2F" + "c" * 43,
)


def _modules(link: str) -> int:
    """The side of the code itself."""
    with Image.open(io.BytesIO(qr_png(link))) as picture:
        grey = picture.convert("L").point(lambda value: 255 - value)
        box = grey.getbbox()
    assert box is not None
    return (box[2] - box[0]) // 10


@pytest.mark.parametrize("link", LINKS)
def test_a_camera_reads_the_link(link: str) -> None:
    with Image.open(io.BytesIO(qr_png(link))) as picture:
        (found,) = read_barcodes(picture.convert("L"))
    assert (found.text, found.format) == (link, BarcodeFormat.QRCode)


@pytest.mark.parametrize("link", LINKS)
def test_four_modules_around_are_empty(link: str) -> None:
    """ISO/IEC 18004 §5.3.8; the drawing and the picture are of one size."""
    side = _modules(link) + 8
    with Image.open(io.BytesIO(qr_png(link))) as picture:
        assert picture.size == (side * 10, side * 10)
    drawn = re.search(rb'viewBox="0 0 (\d+) (\d+)"', qr_svg(link))
    assert drawn is not None
    assert [int(each) for each in drawn.groups()] == [side, side]


def test_each_link_is_a_drawing_of_its_own() -> None:
    first, second = map(qr_svg, LINKS)
    assert first.startswith(b"<?xml")
    assert first != second
    assert first == qr_svg(LINKS[0])
