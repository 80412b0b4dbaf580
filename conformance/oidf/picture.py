"""A picture of what a wallet said where it has no page to show: a QR code of its words, as PNG (ISO/IEC 15948)."""

import zlib

import qrcode

_BORDER, _MODULE = 4, 6  # modules, pixels


def picture_of(words: str) -> bytes:
    """The words as a QR code. They may be up to some 2 000 characters."""
    code = qrcode.QRCode(border=_BORDER)
    code.add_data(words)
    code.make(fit=True)
    rows = code.get_matrix()
    side = len(rows) * _MODULE
    lines = bytearray()
    for row in rows:
        bits = "".join(("0" if dark else "1") * _MODULE for dark in row)
        line = int(bits.ljust(-(-side // 8) * 8, "0"), 2).to_bytes(-(-side // 8), "big")
        lines += (b"\x00" + line) * _MODULE
    header = side.to_bytes(4, "big") * 2 + bytes((1, 0, 0, 0, 0))
    chunks = (_chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(bytes(lines), 9)), _chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
