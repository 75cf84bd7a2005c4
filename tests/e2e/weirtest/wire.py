# SPDX-License-Identifier: Apache-2.0
"""Protobuf's wire format, both ways, without any schema."""
import struct


class Malformed(ValueError):
    """Bytes that are no protobuf message."""


def varint(value):
    """An unsigned varint."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_varint(data, offset):
    """(value, next offset)."""
    value = 0
    for shift in range(0, 70, 7):
        if offset >= len(data):
            raise Malformed("a varint is cut off")
        value |= (data[offset] & 0x7F) << shift
        offset += 1
        if data[offset - 1] < 0x80:
            return value, offset
    raise Malformed("a varint has more than ten bytes")


def fields(data):
    """Every (field number, value): an int for wire types 0, 1 and 5 (as raw bits), bytes for 2."""
    offset = 0
    while offset < len(data):
        tag, offset = read_varint(data, offset)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, offset = read_varint(data, offset)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
            value = int.from_bytes(data[offset:offset + size], "little")
            offset += size
        elif kind == 2:
            size, offset = read_varint(data, offset)
            value = data[offset:offset + size]
            offset += size
        else:
            raise Malformed(f"wire type {kind}")
        if offset > len(data) or number == 0:
            raise Malformed("a field is cut off, or has number 0")
        yield number, value


def as_double(bits):
    """The double of a fixed64's bits."""
    return struct.unpack("<d", bits.to_bytes(8, "little"))[0]


def message(number, data):
    """A length-delimited field."""
    if isinstance(data, str):
        data = data.encode()
    return varint(number << 3 | 2) + varint(len(data)) + data


def fixed64(number, value):
    """A fixed64 field."""
    return varint(number << 3 | 1) + struct.pack("<Q", value)


def double(number, value):
    """A double field; proto3 leaves zero out."""
    return varint(number << 3 | 1) + struct.pack("<d", value) if value != 0 else b""


def integer(number, value):
    """A varint field; proto3 leaves zero out."""
    return varint(number << 3) + varint(value) if value != 0 else b""
