"""Makers' codecs in their sandbox: what they are given, what comes of what they return, and what stops them."""

import threading
import time

import pytest

from headwater.errors import ConfigError, Rejected
from ingest.contract import Codec, Uplink
from ingest.decoders.lorawan.codec import Bounds, compile_codec
from tests.taking import processor_time


def uplink(body: str) -> Codec:
    """A codec whose decodeUplink has this body."""
    return compile_codec("test", "function decodeUplink(input) {\n" + body + "\n}")


def refusal(codec: Codec, data: bytes = b"\x01") -> str:
    """What the codec says is wrong."""
    with pytest.raises(Rejected) as caught:
        codec(data, 1)
    assert caught.value.reason == "decoder_failed"
    return caught.value.detail


@pytest.mark.parametrize(
    "source",
    [
        "function decodeUplink(input) { return {data: {bytes: input.bytes, port: input.fPort}}; }",
        "const decodeUplink = (input) => ({data: {bytes: input.bytes, port: input.fPort}});",
        "function Decode(fPort, bytes, variables) { return {bytes: bytes, port: fPort}; }",
        "function Decoder(bytes, port) { return {bytes: bytes, port: port}; }",
        "'use strict'; module.exports = {decodeUplink: i => ({data: {bytes: i.bytes, port: i.fPort}})};",
        "exports.decodeUplink = function (i) { return {data: {bytes: i.bytes, port: i.fPort}}; };",
        "export function decodeUplink(i) { return {data: {bytes: i.bytes, port: i.fPort}}; }",
        "const decodeUplink = i => ({data: {bytes: i.bytes, port: i.fPort}});\nexport { decodeUplink };\nexport default decodeUplink;",
        "\ufefffunction decodeUplink(i) { return {data: {bytes: i.bytes, port: i.fPort}}; } // the end",
    ],
)
def test_a_codec_of_each_style_gets_bytes_and_port(source: str) -> None:
    assert compile_codec("test", source)(b"\x00\x7f\xff", 85).data == {"bytes": [0, 127, 255], "port": 85}


def test_decode_uplink_counts_where_there_is_an_older_form_too() -> None:
    codec = compile_codec(
        "both", "function Decoder(b) { return {a: 1} } function decodeUplink(i) { return {data: {a: 2}} }"
    )
    assert codec(b"", 1).data == {"a": 2}


def test_the_time_of_receipt_and_variables_are_given() -> None:
    codec = uplink("return {data: {at: input.recvTime, year: input.recvTime.getUTCFullYear(), v: input.variables}}")
    assert codec(b"", 1, 1_763_700_000_123_000).data == {"at": "2025-11-21T04:40:00.123Z", "year": 2025, "v": {}}
    assert abs(uplink("return {data: {at: input.recvTime.getTime()}}")(b"", 1).data["at"] / 1000 - time.time()) < 60


def test_values_that_json_has_none_for_become_what_is_nearest() -> None:
    codec = uplink(
        """return {data: {nan: NaN, inf: -Infinity, zero: -0, none: undefined, f: function () {}, big: 12n, huge: 2n ** 70n,
        date: new Date(0), list: new Uint8Array([1, 2]), buffer: Buffer.from([3, 4]), text: "\\u00e9\\ud83d\\ude00"}}"""
    )
    assert codec(b"", 1).data == {
        "nan": None,
        "inf": None,
        "zero": 0,
        "big": 12,
        "huge": str(2**70),
        "date": "1970-01-01T00:00:00.000Z",
        "list": [1, 2],
        "buffer": [3, 4],
        "text": "é😀",
    }


def test_warnings_come_with_the_data() -> None:
    codec = uplink("return {data: {a: 1}, warnings: ['low battery', {code: 7}], errors: []}")
    assert codec(b"", 1) == Uplink({"a": 1}, ["low battery", '{"code":7}'])


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("return {errors: ['unknown FPort', 'really']}", "codec `test`: unknown FPort; really"),
        ("return {data: {a: 1}, errors: ['half']}", "codec `test`: half"),
        ("return {errors: 'a text'}", "codec `test`: a text"),
        ("throw 'out of order'", "codec `test`: out of order"),
        ("throw new Error('no such type')", "codec `test`: Error: no such type (line 2)"),
        ("var a;\nreturn a.b", "codec `test`: TypeError: cannot read property 'b' of undefined (line 3)"),
        ("throw {toString() { throw 1 }}", "codec `test`: it threw something that cannot be shown"),
        ("", "codec `test`: it returned undefined"),
        ("return 5", "codec `test`: it returned number"),
        ("return null", "codec `test`: it returned null"),
        ("return [1]", "codec `test`: it returned an array; a codec returns an object"),
        ("return {a: 1}", "codec `test`: it returned no `data`"),
        ("return {data: [1]}", "codec `test`: its `data` is an array; it has to be an object"),
        ("return Promise.resolve({data: {}})", "codec `test`: it returned a promise; a codec answers at once"),
        ("return {data: {a: 'x'.repeat(70000)}}", "codec `test`: what it returned is longer than 65536 characters"),
        (
            "var a = {}; a.a = a; return {data: a}",
            "codec `test`: what it returned cannot be JSON: TypeError: circular reference",
        ),
    ],
)
def test_what_a_codec_says_or_does_wrong_is_the_reason(body: str, told: str) -> None:
    assert refusal(uplink(body)) == told


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("function decodeUplink(input) {\n  return {data: {}\n}", "at the end: something is not closed"),
        ("var x = ;", "line 1"),
        ("\n\nvar a = b;", "'?b'? is not defined.*line 3"),
        ("var x = 1;", "there is no function decodeUplink"),
        ("while (true) {}", "it took longer than 20 ms and was stopped"),
        ("}); while (true) {} (function () {", "it took longer than 20 ms and was stopped"),
        ("/*x*/" + " " * (1024 * 1024), "at most"),
    ],
)
def test_a_codec_that_cannot_be_used_is_refused_with_the_line(source: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        compile_codec("test", source, Bounds(codec_time=0.02))


HUNG = [
    "while (true) {}",
    "throw {toString() { while (true) {} }}",
    "return {data: {get a() { while (true) {} }}}",
    "/(a+)+$/.test('a'.repeat(40) + 'b')",
    "var a = []; a.length = 4294967295; a.forEach(function () {}); return {data: {}}",
    "Error.prototype.toString = function () { while (true) {} }; while (true) {}",
]
GREEDY = [
    "var a = []; while (true) a.push('x'.repeat(1000) + a.length)",
    "var s = 'x'; while (true) s += s",
]
GUARDED = [
    "var a = []; a.length = 4294967295; a.reverse(); return {data: {}}",
    "return {data: {a: 'a'.repeat(4e6).indexOf('a'.repeat(2e6) + 'b')}}",
    "[].concat({length: 9e15, [Symbol.isConcatSpreadable]: true}); return {data: {}}",
    "return {data: {a: f()}}; function f() { return f() + 1 }",
    "var a = {}; for (var i = 0; i < 1e5; i++) a = {a: a}; return {data: a}",
]


@pytest.mark.parametrize("body", [*HUNG, *GREEDY, *GUARDED])
def test_a_codec_that_would_never_end_or_take_all_memory_is_stopped_and_goes_on(body: str) -> None:
    codec = compile_codec(
        "test",
        "function decodeUplink(input) { if (input.bytes[0] === 0) return {data: {fine: true}};\n" + body + "\n}",
        Bounds(codec_time=0.02, codec_memory=8 * 2**20),
    )
    other = uplink("return {data: {here: true}}")
    for _ in range(2):
        took, told = processor_time(lambda: refusal(codec), 3)
        assert took < 3, told
        assert codec(b"\x00", 1).data == {"fine": True}
        assert other(b"", 1).data == {"here": True}


def test_what_took_too_long_or_too_much_is_said_so() -> None:
    slow = compile_codec("slow", "function decodeUplink() { while (true) {} }", Bounds(0.02, 8 * 2**20))
    assert refusal(slow) == "codec `slow`: it took longer than 20 ms and was stopped"
    eats = "function decodeUplink() { var a = []; while (true) a.push('x'.repeat(1000) + a.length) }"
    greedy = compile_codec("big", eats, Bounds(10.0, 8 * 2**20))  # time enough on a busy machine
    assert refusal(greedy) == "codec `big`: it took more memory than 8 MiB and was stopped"


@pytest.mark.parametrize(
    "source",
    [
        "var kept = {}; function decodeUplink(i) { kept['b' + i.bytes[0]] = 1; return {data: kept} }",
        "function decodeUplink(i) { if (typeof kept === 'undefined') kept = {}; kept['b' + i.bytes[0]] = 1; return {data: kept} }",
        "function decodeUplink(i) { this.k = globalThis.k = globalThis.k || {}; k['b' + i.bytes[0]] = 1; return {data: k} }",
        "let kept = {}; const decodeUplink = i => { kept['b' + i.bytes[0]] = 1; return {data: kept} }",
    ],
)
def test_nothing_one_device_said_shows_up_in_what_another_says(source: str) -> None:
    codec = compile_codec("test", source)
    assert codec(b"\x01", 1).data == {"b1": 1}
    assert codec(b"\x02", 1).data == {"b2": 1}


def test_a_global_that_cannot_be_deleted_does_no_harm() -> None:
    codec = uplink("Object.defineProperty(globalThis, 'x', {value: 1, enumerable: true}); return {data: {a: x}}")
    assert [codec(b"", 1).data for _ in range(3)] == [{"a": 1}] * 3


def test_one_codec_cannot_reach_into_another() -> None:
    bad = compile_codec(
        "bad",
        "Math.floor = function () { return 666 }; function decodeUplink() { return {data: {a: Math.floor(1.5)}} }",
    )
    assert bad(b"", 1).data == {"a": 666}
    assert uplink("return {data: {a: Math.floor(1.5)}}")(b"", 1).data == {"a": 1}


@pytest.mark.parametrize(
    "name", ["require", "process", "fetch", "XMLHttpRequest", "setTimeout", "std", "os", "Atomics", "load"]
)
def test_there_is_no_way_out_of_the_sandbox(name: str) -> None:
    assert uplink(f"return {{data: {{kind: typeof {name}}}}}")(b"", 1).data == {"kind": "undefined"}


def test_console_is_there_and_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    assert uplink("console.log('x'); console.error('y'); return {data: {a: 1}}")(b"", 1).data == {"a": 1}
    assert capfd.readouterr() == ("", "")


def test_a_buffer_reads_as_in_node() -> None:
    codec = uplink(
        """var b = Buffer.from(input.bytes);
        return {data: {a: b.readUInt16BE(0), b: b.readInt16LE(0), c: b.readFloatBE(2), d: b.toString('hex'), e: b.readIntBE(0, 3),
          f: b.slice(1, 3).length, g: b.toString('base64'), h: b.readUInt8(5), i: b.readBigUInt64BE ? 1 : 0,
          j: Buffer.from('48656c6c6f', 'hex').toString(), k: Buffer.from('SGk=', 'base64').toString('ascii'), l: b.readUIntLE(0, 3)}}"""
    )
    assert codec(b"\xff\xfe\x41\xc8\x00\x00", 1).data == {
        "a": 65534,
        "b": -257,
        "c": 25,
        "d": "fffe41c80000",
        "e": -447,
        "f": 2,
        "g": "//5ByAAA",
        "h": 0,
        "i": 1,
        "j": "Hello",
        "k": "Hi",
        "l": 0x41FEFF,
    }
    assert "beyond the end" in refusal(uplink("Buffer.from(input.bytes).readUInt32BE(0)"))


def test_each_thread_has_a_world_of_its_own() -> None:
    codec = uplink("var s = 0; for (var i = 0; i < 2000; i++) s += input.bytes[0]; return {data: {s: s}}")
    found: list[int] = []

    def work(byte: int) -> None:
        found.extend(codec(bytes([byte]), 1).data["s"] for _ in range(20))

    threads = [threading.Thread(target=work, args=(byte,)) for byte in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(found) == [2000] * 20 + [4000] * 20 + [6000] * 20
