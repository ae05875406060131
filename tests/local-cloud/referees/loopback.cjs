// Loaded before the emulator: what it listens on stays on this machine, which it has no option for.
"use strict";
const { Server } = require("node:net");

const listen = Server.prototype.listen;
Server.prototype.listen = function (first, ...rest) {
  if (typeof first === "object" && first !== null) return listen.call(this, { ...first, host: "127.0.0.1" }, ...rest);
  return listen.call(this, first, "127.0.0.1", ...rest.filter((argument) => typeof argument === "function"));
};

// The emulator cannot outlive the test that started it.
process.stdin.on("end", () => process.exit()).resume();
