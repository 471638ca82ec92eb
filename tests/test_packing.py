import sys

import cbor2
import msgpack
import pytest

from wsharness.packing import pack, unpack


@pytest.mark.parametrize("form, packed", [("msgpack", msgpack.packb), ("cbor2", cbor2.dumps)])
def test_what_is_packed_can_be_unpacked(form, packed):
    value = {"t": "move", "tags": [1, None]}
    assert pack(form, value) == packed(value)
    assert unpack(packed(value)) == (form, value)


def test_what_cannot_be_packed():
    assert pack("msgpack", 1 << 80) is None


@pytest.mark.parametrize("data", [b"", b"\x01", b"\xff\xff", b"hello", msgpack.packb({})])
def test_bytes_of_something_else(data):
    assert unpack(data) is None


def test_forms_that_the_app_does_not_know(monkeypatch):
    monkeypatch.delitem(sys.modules, "msgpack")
    monkeypatch.delitem(sys.modules, "cbor2")
    assert unpack(msgpack.packb({"a": 1})) is None
