// The world in which a maker's codec runs. In: its source; then radio payloads. Out: JSON text, or `!` and why not.
//
// This script's value is `prepare(source)`, which gives "" and leaves `call(bytes, port, time)` behind, or gives `!` and what
// is wrong with the source. Nothing here can reach the machine: QuickJS has no I/O of its own and none is given.
// Each call runs the source's top level anew, compiled once: its variables, also those it forgot to declare, are new.
(function () {
  "use strict";
  const global = globalThis, stringify = JSON.stringify, lineOf = RegExp.prototype.exec.bind(/<input>:(\d+)/);
  const MOST_TEXT = 65536, LONGEST = 16384, MOST_ITEMS = 1000000;
  const text = String, compile = eval, keysOf = Object.keys, define = Object.defineProperty;
  const isArray = Array.isArray, TimeOf = Date, drop = Reflect.deleteProperty;
  const apply = Reflect.apply, charCodeAt = Function.prototype.call.bind(String.prototype.charCodeAt);
  const slice = Function.prototype.call.bind(String.prototype.slice);

  function hidden(object, name, value) {
    define(object, name, { value, writable: true, configurable: true, enumerable: false });
  }

  // What waits, or could run for long within one built-in, where no limit on time looks.
  delete global.Atomics;
  delete global.SharedArrayBuffer;
  function guarded(object, name, most, also) {
    const own = object[name];
    if (typeof own !== "function") return;
    hidden(object, name, function (...given) {
      let size = this.length;
      if (also) for (const one of given) if (typeof one === "object" && one !== null && one.length > size) size = one.length;
      if (size > most) throw new RangeError(name + "() of " + size + " is too much for a codec");
      return apply(own, this, given);
    });
  }
  for (const name of ["concat", "copyWithin", "fill", "flat", "flatMap", "reverse", "shift", "slice", "sort", "splice",
    "toReversed", "toSorted", "toSpliced", "unshift", "with", "join", "lastIndexOf"]) {
    guarded(Array.prototype, name, MOST_ITEMS, name === "concat");
  }
  for (const name of ["includes", "indexOf", "lastIndexOf", "normalize", "replace", "replaceAll", "split"]) {
    guarded(String.prototype, name, LONGEST, false);
  }
  delete String.raw;

  // An error of the engine's own is shown to the host outside of the limit on time: nothing of a codec may run then.
  define(Error, "prepareStackTrace", { value: undefined, writable: false, configurable: false });
  define(Error.prototype, "toString", { writable: false, configurable: false });
  Object.freeze(InternalError.prototype);
  Object.freeze(RangeError.prototype);

  // What codecs find on the servers that they were written for.
  const silent = function () {};
  hidden(global, "console", { log: silent, info: silent, warn: silent, error: silent, debug: silent, trace: silent });
  hidden(BigInt.prototype, "toJSON", function () {
    const near = Number(this);
    return Number.isSafeInteger(near) ? near : this.toString();
  });
  hidden(Object.getPrototypeOf(Uint8Array.prototype), "toJSON", function () { return Array.from(this); });

  // What a codec makes global by mistake can be listed, unlike all that was there before.
  function tidy() {
    for (const name of keysOf(global)) drop(global, name);
  }

  class Wrong {
    constructor(what) {
      this.what = what;
    }
  }

  function why(error, lines) {
    try {
      if (error instanceof Wrong) return "!" + error.what;
      const said = slice(text(error), 0, 500), at = error instanceof Error ? lineOf(error.stack) : null;
      if (!at) return "!" + said;
      return "!" + said + (+at[1] > lines ? " (at the end: something is not closed)" : " (line " + at[1] + ")");
    } catch {
      return "!it threw something that cannot be shown";
    }
  }

  function json(value) {
    try {
      return stringify(value);
    } catch (error) {
      throw new Wrong("what it returned cannot be JSON: " + slice(text(error), 0, 200));
    }
  }

  function listed(value) {
    if (value === undefined || value === null) return [];
    const found = isArray(value) ? value : [value], lines = [];
    for (let i = 0; i < found.length && i < 16; i++) {
      const one = found[i];
      lines[i] = slice(typeof one === "string" ? one : json(one) || text(one), 0, 500);
    }
    return lines;
  }

  function answer(result, wrapped) {
    if (isArray(result)) throw new Wrong("it returned an array; a codec returns an object");
    if (typeof result !== "object" || result === null) throw new Wrong("it returned " + (result === null ? "null" : typeof result));
    if (typeof result.then === "function") throw new Wrong("it returned a promise; a codec answers at once");
    let said;
    if (wrapped) {
      const errors = listed(result.errors);
      if (errors.length) return "!" + slice(errors.join("; "), 0, 500);
      if (typeof result.data !== "object" || result.data === null) throw new Wrong("it returned no `data`");
      if (isArray(result.data)) throw new Wrong("its `data` is an array; it has to be an object");
      said = json({ data: result.data, warnings: listed(result.warnings) });
    } else {
      said = json({ data: result, warnings: [] });
    }
    if (said.length > MOST_TEXT) throw new Wrong("what it returned is longer than " + MOST_TEXT + " characters");
    return said;
  }

  return function prepare(source) {
    const ends = "\n;return [typeof decodeUplink==='function'?decodeUplink:module.exports.decodeUplink," +
      "typeof Decode==='function'?Decode:module.exports.Decode,typeof Decoder==='function'?Decoder:module.exports.Decoder]})";
    let make, lines = 1;
    for (let i = 0; i < source.length; i++) if (source[i] === "\n") lines++;
    try {
      make = compile("(function(module,exports){" + source + ends);
      if (typeof make !== "function") throw new Wrong("it does not end where it should");
    } catch (error) {
      return why(error, lines);
    }
    function start() {
      const module = { exports: {} };
      return make.call(global, module, module.exports);
    }
    function call(packed, port, time) {
      try {
        const [uplink, chirpstack, things] = start();
        const bytes = [];
        for (let i = 0, end = packed.length; i < end; i++) bytes[i] = charCodeAt(packed, i);
        let result;
        if (typeof uplink === "function") {
          const recvTime = time < 0 ? new TimeOf() : new TimeOf(time);
          return answer(uplink({ bytes, fPort: port, recvTime, variables: {} }), true);
        }
        return answer(typeof chirpstack === "function" ? chirpstack(port, bytes, {}) : things(bytes, port, {}), false);
      } catch (error) {
        return why(error, Infinity);
      } finally {
        tidy();
      }
    }
    try {
      const [uplink, chirpstack, things] = start();
      if (![uplink, chirpstack, things].some((one) => typeof one === "function")) {
        return "!there is no function decodeUplink(input), Decode(fPort, bytes) or Decoder(bytes, port)";
      }
    } catch (error) {
      return why(error, Infinity);
    } finally {
      tidy();
    }
    define(global, "call", { value: call, writable: false, configurable: false, enumerable: false });
    return "";
  };
})();
