"""Files spoiled at random: bytes, pieces, numbers and words of a valid file replaced, and checksums made good again."""

import gzip
import io
import re
import zipfile
import zlib

import numpy as np

NUMBERS = (
    b"0",
    b"-1",
    b"1",
    b"2",
    b"255",
    b"65536",
    b"2147483647",
    b"4294967295",
    b"-2147483648",
    b"9999999999",
    b"9" * 20,
    b"1e999",
    b"nan",
    b"0.5",
)
BYTES = (0, 1, 0x7F, 0x80, 0xFE, 0xFF, ord(" "), ord("9"), ord("-"), ord('"'))
FITS_WORDS = (
    b"NAXIS   =",
    b"NAXIS1  =",
    b"NAXIS2  =",
    b"NAXIS3  =",
    b"BITPIX  =",
    b"BZERO   =",
    b"BSCALE  =",
    b"PCOUNT  =",
    b"GCOUNT  =",
    b"TFIELDS =",
    b"EXTEND  =",
    b"ZBITPIX =",
    b"ZNAXIS1 =",
    b"ZTILE1  =",
    b"ZCMPTYPE=",
    b"ZIMAGE  =",
    b"THEAP   =",
    b"TFORM1  =",
    b"TZERO1  =",
    b"TNULL1  =",
    b"TDIM1   =",
    b"GROUPS  =",
    b"XTENSION=",
    b"CONTINUE",
    b"HIERARCH",
    b"END     ",
    b"SIMPLE  =",
    b"'1PJ(9)'",
    b"'BINTABLE'",
    b"'IMAGE   '",
    b"'TABLE   '",
    b"'16A     '",
    b"'2D      '",
    b"'GZIP_1  '",
    b"'RICE_1  '",
)
WORDS: dict[str, tuple[bytes, ...]] = {
    "jpeg": (
        b"\xff\xd8",
        b"\xff\xd9",
        b"\xff\xda",
        b"\xff\xc0",
        b"\xff\xc2",
        b"\xff\xc4",
        b"\xff\xdb",
        b"\xff\xdd",
        b"\xff\xe1",
        b"\xff\xff",
    ),
    "png": (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"acTL", b"fcTL", b"fdAT", b"iCCP", b"zTXt", b"eXIf"),
    "npy": (
        b"'descr'",
        b"'|O'",
        b"'<f4'",
        b"'>f8'",
        b"'|S9'",
        b"'<M8[s]'",
        b"[('a', '<f4')]",
        b"True",
        b"False",
        b"(1,)",
        b"()",
        b"(0, 0)",
        b"\x93NUMPY",
        b"(((((",
    ),
    "csv": (
        b",",
        b'"',
        b"\n",
        b"\r",
        b"\x00",
        b"OBJID",
        b"SPIRAL",
        b"z",
        b"#",
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b"nan",
        b"1,0,0",
        b"'",
    ),
    "ecsv": (
        b"# ",
        b"- {name: a, datatype: int64}",
        b"datatype: string",
        b"datatype: complex128",
        b"datatype: object",
        b"subtype: json",
        b"subtype: 'int64[2,2]'",
        b"subtype: 'float32[null]'",
        b"# meta: !!python/object/apply:os.getcwd []",
        b"# - !!omap",
        b"&a [*a]",
        b"*a",
        b"__serialized_columns__: {z: {__class__: astropy.time.core.Time}}",
        b"unit: m",
        b"unit: '1e'",
        b"delimiter: ','",
        b"schema:",
        b"{",
        b"}",
        b": ",
        b'"',
    ),
    "vot": (
        b"<FIELD",
        b"<TR>",
        b"</TR>",
        b"<TD>",
        b"</TD>",
        b"<TABLEDATA>",
        b"<BINARY2>",
        b"<STREAM encoding='base64'>",
        b"</STREAM>",
        b'arraysize="*"',
        b'arraysize="9x9"',
        b'arraysize="1x"',
        b'datatype="double"',
        b'datatype="char"',
        b'datatype="floatComplex"',
        b'datatype="bit"',
        b'null="9"',
        b'encoding="gzip"',
        b'href="file:///dev/zero"',
        b'ref="a"',
        b'ID="a"',
        b"<!ENTITY",
        b"<![CDATA[",
        b"&amp;",
        b"&a;",
        b"<GROUP>",
        b"<TABLE>",
        b'nrows="-1"',
    ),
}


def mutated(rng: np.random.Generator, kind: str, seeds: list[bytes]) -> bytes:
    """One of the valid `seeds` with one to five changes, for some formats repaired so that readers get beyond the first check."""
    content = bytearray(seeds[rng.integers(len(seeds))])
    words = WORDS.get(kind, FITS_WORDS)
    if kind == "png" and rng.random() < 0.4:
        return bytes(_with_other_pixels(rng, content))
    if kind == "npz" and rng.random() < 0.7:
        return _with_other_arrays(rng, content)
    for _ in range(rng.integers(1, rng.integers(2, 7))):
        if content:
            content = CHANGES[rng.integers(len(CHANGES))](rng, content, words, seeds)
    if kind == "png" and rng.random() < 0.7:
        content = _with_checksums(content)
    if kind in ("fits", "fits.gz", "fits table", "sample") and rng.random() < 0.5:
        content += bytes(-len(content) % 2880)
    if kind != "fits.gz":
        return bytes(content)
    zipped = bytearray(gzip.compress(bytes(content), 1, mtime=0))
    return bytes(zipped if rng.random() < 0.75 else _set_bytes(rng, zipped, words, seeds))


def _place(rng: np.random.Generator, content: bytearray) -> int:
    """Anywhere, or as often in the first part, where headers are."""
    return int(rng.integers(min(len(content), 600) if rng.random() < 0.5 else len(content)))


def _set_bytes(rng, content, words, seeds):
    for _ in range(rng.integers(1, 5)):
        content[_place(rng, content)] = rng.integers(256) if rng.random() < 0.5 else BYTES[rng.integers(len(BYTES))]
    return content


def _flip_bit(rng, content, words, seeds):
    content[_place(rng, content)] ^= 1 << int(rng.integers(8))
    return content


def _cut_off(rng, content, words, seeds):
    return content[: rng.integers(1, len(content) + 1)] if rng.random() < 0.3 else content


def _delete(rng, content, words, seeds):
    first = _place(rng, content)
    del content[first : first + int(rng.integers(1, 100))]
    return content


def _repeat(rng, content, words, seeds):
    first, length = _place(rng, content), int(rng.choice([1, 4, 80, 2880]))
    content[first:first] = content[first : first + length] * int(rng.integers(1, 4))
    return content


def _splice(rng, content, words, seeds):
    other = seeds[rng.integers(len(seeds))]
    first, start, length = _place(rng, content), int(rng.integers(len(other))), int(rng.integers(1, 300))
    content[first : first + length] = other[start : start + length]
    return content


def _number(rng, content, words, seeds):
    """A number of the text, by another; in place where the format counts columns."""
    found = list(re.finditer(rb"-?\d+(\.\d+)?", bytes(content)))
    if not found:
        return content
    match, new = found[rng.integers(len(found))], NUMBERS[rng.integers(len(NUMBERS))]
    end = match.end()
    start = max(0, end - len(new)) if rng.random() < 0.5 else match.start()
    content[start:end] = new
    return content


def _word(rng, content, words, seeds):
    first, word = _place(rng, content), words[rng.integers(len(words))]
    if rng.random() < 0.4:  # where a card of FITS begins, or a line
        first -= first % 80
    content[first : first + (len(word) if rng.random() < 0.6 else 0)] = word
    return content


CHANGES = (_set_bytes, _flip_bit, _delete, _cut_off, _repeat, _splice, _number, _number, _word, _word)


def _with_other_pixels(rng: np.random.Generator, png: bytearray) -> bytearray:
    """A whole PNG whose lines of pixels, each with the number of its filter, are spoiled before they are compressed."""
    first = png.index(b"IDAT")
    length = int.from_bytes(png[first - 4 : first], "big")
    lines = bytearray(zlib.decompress(png[first + 4 : first + 4 + length]))
    lines = CHANGES[rng.integers(5)](rng, lines, (), [bytes(lines)])
    if rng.random() < 0.3:
        png = _set_bytes(rng, png[: first - 4], (), []) + png[first - 4 :]
    packed = zlib.compress(bytes(lines))
    return _with_checksums(
        png[: first - 4] + len(packed).to_bytes(4, "big") + b"IDAT" + packed + png[first + 4 + length :]
    )


def _with_other_arrays(rng: np.random.Generator, npz: bytearray) -> bytes:
    """A .npz with one of its arrays spoiled, and whole as a zip."""
    with zipfile.ZipFile(io.BytesIO(npz)) as zipped:
        parts = {name: zipped.read(name) for name in zipped.namelist()}
    spoiled = list(parts)[rng.integers(len(parts))]
    parts[spoiled] = mutated(rng, "npy", [parts[spoiled]])
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as zipped:
        for name, content in parts.items():
            zipped.writestr(name, content)
    return stream.getvalue()


def _with_checksums(content: bytearray) -> bytearray:
    """A PNG whose chunks have the checksums of what is in them."""
    position = 8
    while position + 12 <= len(content):
        length = int.from_bytes(content[position : position + 4], "big")
        end = position + 8 + length
        if end + 4 > len(content):
            break
        content[end : end + 4] = zlib.crc32(content[position + 4 : end]).to_bytes(4, "big")
        position = end + 4
    return content
