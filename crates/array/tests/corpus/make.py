"""Makes the files of this folder, each of which a careless reader would choke on. Needs only Python."""

import io
import json
import struct
import zipfile
import zlib


def save(name, data):
    with open(name, "wb") as file:
        file.write(data)


def npy(text, values=b"", version=1):
    text = text.encode() if isinstance(text, str) else text
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + length + text + values


def header(shape, descr="<f8", fortran=False):
    return f"{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n"


good = npy(header("(2,)"), bytes(16))
save("empty.npy", b"")
save("quadrillion_elements.npy", npy(header("(1000000000000000,)"), bytes(8)))
save("product_overflows.npy", npy(header("(4294967296, 4294967296, 16)"), bytes(8)))
save("fortran_overflows.npy", npy(header("(4294967296, 4294967297)", fortran=True), bytes(8)))
save("size_overflows.npy", npy(header("(99999999999999999999,)")))
save("negative_size.npy", npy(header("(-1,)")))
save("hundred_axes.npy", npy(header("(" + "2, " * 100 + ")", fortran=True), bytes(64), 2))
save("nested.npy", npy("(" * 60000))
save("shape_nested.npy", npy("{'shape': " + "(" * 60000))
save("header_of_4_gib.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\xff{")
save("header_cut.npy", b"\x93NUMPY\x01\x00\xff\xff{'descr'")
save("not_utf8.npy", npy(b"{'descr': '\xff\xfe', 'fortran_order': False, 'shape': ()}"))
save("utf8_in_descr.npy", npy("{'descr': '\u00e98', 'fortran_order': False, 'shape': ()}"))
save("nul_in_descr.npy", npy("{'descr': '<f8\0', 'fortran_order': False, 'shape': ()}"))
save("no_end_of_string.npy", npy("{'descr"))
save("bool_of_2.npy", npy(header("(2,)", "|b1"), b"\x01\x02"))
save("uint64_too_large.npy", npy(header("(1,)", "<u8"), b"\xff" * 8))
save("pickle.npy", npy(header("(1,)", "|O"), b"cos\nsystem\n(S'true'\ntR."))


def entry(name, data, method=0, flags=0, raw=None, size=None, crc=None):
    """A local record and its line for the directory."""
    raw = data if raw is None else raw
    size = len(data) if size is None else size
    crc = zlib.crc32(data) if crc is None else crc
    fields = struct.pack("<HHHHHIII", 20, flags, method, 0, 33, crc, len(raw), size)
    local = b"PK\x03\x04" + fields + struct.pack("<HH", len(name), 0) + name + raw
    return local, fields, name


def archive(entries, count=None, offset=None, at=None, directory=None):
    out, lines = b"", b""
    for number, (local, fields, name) in enumerate(entries):
        place = len(out) if at is None else at[number]
        lines += b"PK\x01\x02" + struct.pack("<H", 20) + fields
        lines += struct.pack("<HHHHHII", len(name), 0, 0, 0, 0, 0, place) + name
        out += local
    lines = lines if directory is None else directory
    count = len(entries) if count is None else count
    offset = len(out) if offset is None else offset
    return out + lines + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, count, count, len(lines), offset, 0)


def deflate(data):
    coder = zlib.compressobj(9, zlib.DEFLATED, -15)
    return coder.compress(data) + coder.flush()


x, y = entry(b"x.npy", good), entry(b"y.npy", good)
save("no_zip.npz", b"PK\x03\x04 and nothing")
save("shared_bytes.npz", archive([x, y], at=[0, 0]))
bomb = npy(header("(1000000000000,)", "|u1"), bytes(1 << 20))
save("bomb_cut.npz", archive([entry(b"x.npy", bomb, 8, raw=deflate(bomb))]))
big = npy(header("(1048576,)", "|u1"), bytes(1 << 20))
save("bomb_beyond_its_size.npz", archive([entry(b"x.npy", big, 8, raw=deflate(big), size=100)]))
save("quadrillion_elements.npz", archive([entry(b"x.npy", npy(header("(1000000000000000,)")))]))
save("encrypted.npz", archive([entry(b"x.npy", good, flags=1)]))
save("method_99.npz", archive([entry(b"x.npy", good, 99)]))
save("wrong_crc.npz", archive([entry(b"x.npy", good, crc=1)]))
save("not_deflate.npz", archive([entry(b"x.npy", good, 8, raw=b"\xff" * 50)]))
save("deflate_cut.npz", archive([entry(b"x.npy", good, 8, raw=deflate(good)[:-9])]))
save("count_too_high.npz", archive([x], count=2))
save("count_too_low.npz", archive([x, y], count=1))
save("directory_beyond_end.npz", archive([x], offset=0xFFFFFFF0))
save("directory_of_noise.npz", archive([x], directory=bytes(60)))
save("entry_beyond_end.npz", archive([x], at=[0xFFFFFF00]))
save("entry_in_directory.npz", archive([x], at=[len(x[0])]))
save("size_0xffffffff.npz", archive([entry(b"x.npy", good, size=0xFFFFFFFF)]))
save("not_utf8.npz", archive([entry(b"\xff\xfe.npy", good)]))
save("twice.npz", archive([x, x]))
save("trailing.npz", archive([entry(b"x.npy", good + b"more")]))
save("text_inside.npz", archive([entry(b"x.txt", b"hello")]))
file = io.BytesIO()
with zipfile.ZipFile(file, "w") as out:
    with out.open("x.npy", "w", force_zip64=True) as part:
        part.write(good)
zip64 = bytearray(file.getvalue())
save("zip64_cut.npz", bytes(zip64[:-30]))
locator = b"PK\x06\x07" + struct.pack("<IQI", 0, 0xFFFFFFFFFFFFFF00, 1)
end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
save("zip64_locator_beyond_end.npz", x[0] + locator + end)
record = b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 2**64 - 1, 2**64 - 1, 2**64 - 1, 2**64 - 1)
locator = b"PK\x06\x07" + struct.pack("<IQI", 0, len(x[0]), 1)
save("zip64_all_ones.npz", x[0] + record + locator + end)


def safetensors(text, values=b"", length=None):
    text = json.dumps(text) if isinstance(text, dict) else text
    text = text if isinstance(text, bytes) else text.encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + values


def tensor(shape, start, end, dtype="U8"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


save("empty.safetensors", b"")
save("header_of_16_eib.safetensors", b"\xff" * 8)
save("header_of_99_mb.safetensors", safetensors("{}", length=99_000_000))
# All parts are valid, but the end of the values plus the header's length overflows.
part = 2**61 - 1
names = {str(i): tensor([part], i * part, (i + 1) * part) for i in range(8)}
save("sum_overflows.safetensors", safetensors(names))
save("shape_overflows.safetensors", safetensors({"x": tensor([2**33, 2**33], 0, 8)}, bytes(8)))
save("bits_overflow.safetensors", safetensors({"x": tensor([2**62], 0, 2**62)}, bytes(8)))
save("quadrillion_elements.safetensors", safetensors({"x": tensor([10**15], 0, 10**15)}, bytes(8)))
save("end_before_start.safetensors", safetensors({"x": tensor([2], 2, 0)}, bytes(2)))
save("negative.safetensors", safetensors({"x": tensor([-1], 0, 1)}, bytes(1)))
save("hole.safetensors", safetensors({"x": tensor([2], 0, 2), "y": tensor([2], 4, 6)}, bytes(6)))
save("overlap.safetensors", safetensors({"x": tensor([4], 0, 4), "y": tensor([4], 2, 6)}, bytes(6)))
save("trailing.safetensors", safetensors({"x": tensor([2], 0, 2)}, bytes(3)))
save("nested.safetensors", safetensors("[" * 50000))
save("nested_in_object.safetensors", safetensors('{"x":' * 50000))
save("not_utf8.safetensors", safetensors(b'{"\xff":1}'))
save("half_a_surrogate.safetensors", safetensors('{"\\ud800":1}'))
save("metadata_of_numbers.safetensors", safetensors('{"__metadata__":{"a":1}}'))
save("half_a_byte.safetensors", safetensors({"x": tensor([1], 0, 1, "F4")}, bytes(1)))
save("float8.safetensors", safetensors({"x": tensor([1], 0, 1, "F8_E4M3")}, bytes(1)))
save("bool_of_2.safetensors", safetensors({"x": tensor([1], 0, 1, "BOOL")}, b"\x02"))
