"""QR codes of links, as SVG or PNG, drawn here: no picture is fetched from anybody."""

import io
import zlib
from functools import lru_cache

import qrcode
from qrcode.constants import ERROR_CORRECT_M

_QUIET_ZONE = 4  # modules; ISO/IEC 18004 §5.3.8
_MODULE = 8  # pixels of a PNG


def qr_svg(text: str) -> bytes:
    """The QR code as SVG: black squares on white, no style, no script."""
    rows = _modules(text)
    size = len(rows)
    squares = "".join(f"M{x},{y}h1v1h-1z" for y, row in enumerate(rows) for x, dark in enumerate(row) if dark)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}" width="{size * 6}" height="{size * 6}" '
        f'shape-rendering="crispEdges"><rect width="{size}" height="{size}" fill="#ffffff"/>'
        f'<path d="{squares}" fill="#000000"/></svg>'
    ).encode()


def qr_png(text: str) -> bytes:
    """The QR code as PNG, one bit a pixel (ISO/IEC 15948)."""
    rows = _modules(text)
    side = len(rows) * _MODULE
    raw = io.BytesIO()
    for row in rows:
        bits = "".join(("0" if dark else "1") * _MODULE for dark in row)
        line = b"\x00" + int(bits.ljust(-(-side // 8) * 8, "0"), 2).to_bytes(-(-side // 8), "big")
        raw.write(line * _MODULE)
    header = side.to_bytes(4, "big") * 2 + bytes((1, 0, 0, 0, 0))
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", header),
            _chunk(b"IDAT", zlib.compress(raw.getvalue(), 9)),
            _chunk(b"IEND", b""),
        )
    )


@lru_cache(maxsize=64)
def _modules(text: str) -> tuple[tuple[bool, ...], ...]:
    code = qrcode.QRCode(error_correction=ERROR_CORRECT_M, border=_QUIET_ZONE)
    code.add_data(text)
    code.make(fit=True)
    return tuple(tuple(bool(module) for module in row) for row in code.get_matrix())


def _chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
