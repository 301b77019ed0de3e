// The part of Node's `Buffer` that codecs for ChirpStack use to read bytes. In: bytes, arrays, text. Out: `Buffer`.
(function () {
  "use strict";
  const KINDS = { UInt8: ["Uint8", 1], Int8: ["Int8", 1], UInt16: ["Uint16", 2], Int16: ["Int16", 2], UInt32: ["Uint32", 4],
    Int32: ["Int32", 4], BigInt64: ["BigInt64", 8], BigUInt64: ["BigUint64", 8], Float: ["Float32", 4], Double: ["Float64", 8] };
  const DIGITS = "0123456789abcdef";

  function fromText(text, encoding) {
    const found = [];
    if (encoding === "hex") {
      for (let i = 0; i + 1 < text.length; i += 2) {
        const byte = parseInt(text.slice(i, i + 2), 16);
        if (Number.isNaN(byte)) break;
        found.push(byte);
      }
      return found;
    }
    const plain = encoding === "base64" || encoding === "base64url" ? atob(text.replace(/-/g, "+").replace(/_/g, "/"))
      : encoding === "latin1" || encoding === "binary" || encoding === "ascii" ? text : unescape(encodeURIComponent(text));
    for (let i = 0; i < plain.length; i++) found.push(plain.charCodeAt(i) & 255);
    return found;
  }

  class Buffer extends Uint8Array {
    static get [Symbol.species]() {
      return Buffer;
    }
    static from(value, encoding, length) {
      if (typeof value === "string") return super.from(fromText(value, encoding));
      if (value instanceof ArrayBuffer) return new Buffer(value, encoding, length);
      return super.from(value && value.type === "Buffer" ? value.data : value);
    }
    static alloc(size, fill) {
      return new Buffer(size).fill(fill || 0);
    }
    static allocUnsafe(size) {
      return new Buffer(size);
    }
    static isBuffer(value) {
      return value instanceof Buffer;
    }
    static byteLength(text, encoding) {
      return typeof text === "string" ? fromText(text, encoding).length : text.byteLength;
    }
    static concat(parts) {
      const all = [];
      for (const part of parts) all.push(...part);
      return super.from(all);
    }
    slice(start, end) {
      return this.subarray(start, end);
    }
    equals(other) {
      return this.length === other.length && this.every((byte, at) => byte === other[at]);
    }
    toString(encoding, start, end) {
      const bytes = this.subarray(start || 0, end === undefined ? this.length : end);
      let text = "";
      if (encoding === "hex") {
        for (const byte of bytes) text += DIGITS[byte >> 4] + DIGITS[byte & 15];
        return text;
      }
      for (const byte of bytes) text += String.fromCharCode(encoding === "ascii" ? byte & 127 : byte);
      if (encoding === "base64") return btoa(text);
      if (encoding === "latin1" || encoding === "binary" || encoding === "ascii") return text;
      try {
        return decodeURIComponent(escape(text));
      } catch {
        return text;
      }
    }
    toJSON() {
      return Array.from(this);
    }
    view(offset, size) {
      if (!(offset >= 0 && offset + size <= this.length)) throw new RangeError("reading beyond the end of " + this.length + " bytes");
      return new DataView(this.buffer, this.byteOffset + offset, size);
    }
    readUIntBE(offset, size) {
      const view = this.view(offset, size);
      let value = 0;
      for (let i = 0; i < size; i++) value = value * 256 + view.getUint8(i);
      return value;
    }
    readUIntLE(offset, size) {
      const view = this.view(offset, size);
      let value = 0;
      for (let i = size - 1; i >= 0; i--) value = value * 256 + view.getUint8(i);
      return value;
    }
    readIntBE(offset, size) {
      const value = this.readUIntBE(offset, size), half = 2 ** (8 * size - 1);
      return value >= half ? value - 2 * half : value;
    }
    readIntLE(offset, size) {
      const value = this.readUIntLE(offset, size), half = 2 ** (8 * size - 1);
      return value >= half ? value - 2 * half : value;
    }
  }
  for (const kind of Object.keys(KINDS)) {
    const [own, size] = KINDS[kind];
    for (const end of size === 1 ? [""] : ["BE", "LE"]) {
      const little = end === "LE", get = DataView.prototype["get" + own], set = DataView.prototype["set" + own];
      const read = function (offset) {
        return get.call(this.view(offset || 0, size), 0, little);
      };
      const write = function (value, offset) {
        set.call(this.view(offset || 0, size), 0, value, little);
        return (offset || 0) + size;
      };
      for (const name of new Set([kind + end, kind.replace("UInt", "Uint") + end])) {
        Object.defineProperty(Buffer.prototype, "read" + name, { value: read, writable: true, configurable: true });
        Object.defineProperty(Buffer.prototype, "write" + name, { value: write, writable: true, configurable: true });
      }
    }
  }
  Object.defineProperty(globalThis, "Buffer", { value: Buffer, writable: true, configurable: true, enumerable: false });
})();
