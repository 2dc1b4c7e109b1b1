// Calls methods of the official Node SDK and tells what came of it.
//
// Reads {"address", "key", "calls": [{"method", "arguments"}]} from standard input. Prints {"methods", "answers"}: the
// names of all methods that the SDK's client has, and for each call the statuses that it met, and what it returned or
// how it failed.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { TrophyApiClient } = createRequire(import.meta.url)("@trophyso/node");
const { address, key, calls } = JSON.parse(readFileSync(0, "utf8"));
const client = new TrophyApiClient({
  apiKey: key,
  environment: { api: `${address}/v1`, admin: `${address}/admin/v1` },
});

let statuses = [];
const send = globalThis.fetch;
globalThis.fetch = async (...request) => {
  const answer = await send(...request);
  statuses.push(answer.status);
  return answer;
};

// A client holds others behind getters; both are found on its prototype.
function* methodsOf(holder, path = "") {
  for (const [name, member] of Object.entries(Object.getOwnPropertyDescriptors(Object.getPrototypeOf(holder)))) {
    if (member.get) {
      yield* methodsOf(holder[name], `${path}${name}.`);
    } else if (name !== "constructor" && !name.startsWith("_")) {
      yield path + name;
    }
  }
}

async function answerOf({ method, arguments: given }) {
  const path = method.split(".");
  const name = path.pop();
  statuses = [];
  try {
    const holder = path.reduce((outer, step) => outer[step], client);
    return { method, returned: await holder[name](...given), statuses };
  } catch (error) {
    return { method, failed: error.constructor.name, status: error.statusCode ?? null, message: error.message, statuses };
  }
}

const answers = [];
for (const call of calls) {
  answers.push(await answerOf(call));
}
console.log(JSON.stringify({ methods: [...methodsOf(client)], answers }));
