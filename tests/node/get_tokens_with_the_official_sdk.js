// Proves that Microsoft's SDK for Node.js, unmodified, gets tokens from a running agent.
//
// usage: node get_tokens_with_the_official_sdk.js PATH-OF-keyferry-emulator PATH-OF-keyferry
//
// The SDK keeps what it finds in its environment for as long as its process lives, so each environment has a process of
// its own: this file, with the scope as its only argument. It runs on loopback only.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { ManagedIdentityCredential } from "@azure/identity";

const SECONDS = 60;
const SCOPE = "https://cognitiveservices.azure.com/.default";
const NEWER_SCOPE = "https://ai.azure.com/.default";

/** The lines of a program's output until one that is looked for; what comes later is read on, and not kept. */
async function until(stream, isLast) {
  const lines = [];
  for await (const line of createInterface({ input: stream })) {
    lines.push(line);
    if (isLast(line)) {
      stream.resume();
      return lines;
    }
  }
  throw new Error(`it ended early:\n${lines.join("\n")}`);
}

function start(program, args, options) {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], timeout: SECONDS * 1000, ...options });
  child.ended = new Promise((resolve) => child.once("exit", resolve));
  return child;
}

async function agent(program, environment, more) {
  const config = `
cloud: {authorityHost: "${environment.EMULATOR_AUTHORITY}", vaultSuffix: vault.localhost}
tls: {caFile: ${environment.EMULATOR_CA_FILE}}
serve: {tokens: {listen: "127.0.0.1:0", scopes: ["${SCOPE}", "${NEWER_SCOPE}"]${more}}}
`;
  const names = ["AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_AUTHORITY_HOST"];
  const env = Object.fromEntries(names.map((name) => [name, environment[name]]));
  Object.assign(env, { KEYFERRY_CONFIG_YAML: config, KEYFERRY_ALLOW_CUSTOM_CLOUD: "1" });
  const child = start(program, ["run"], { env });
  child.stdout.resume();
  const words = "tokens are given at ";
  const lines = await until(child.stderr, (line) => line.includes(words));
  return { child, url: lines.at(-1).split(words)[1].split(": ")[0] };
}

/** What the SDK says in an environment: a token, or the message of its error. */
async function ask(env, scope, client) {
  const args = [fileURLToPath(import.meta.url), scope, ...(client ? [client] : [])];
  const { stdout } = await promisify(execFile)(process.execPath, args, { env, timeout: SECONDS * 1000 });
  return JSON.parse(stdout);
}

async function prove(emulatorProgram, program, directory) {
  const emulator = start(emulatorProgram, ["--dir", directory, "--control", "127.0.0.1:0"], {});
  emulator.stderr.resume();
  try {
    const printed = await until(emulator.stdout, (line) => line === "EMULATOR_READY=1");
    const environment = Object.fromEntries(printed.map((line) => line.split(/=(.*)/s).slice(0, 2)));
    const control = async (path, body) => {
      const method = body ? "POST" : "GET";
      return (await fetch(environment.EMULATOR_CONTROL + path, { method, body: body && JSON.stringify(body) })).json();
    };
    const header = `${directory}/identity-header`;
    const { child, url } = await agent(program, environment, "");
    const { child: second, url: guarded } = await agent(program, environment, `, tokenFile: ${header}`);
    const endpoint = { IDENTITY_ENDPOINT: `${guarded}/msi/token` };
    for (const [what, env] of [
      ["AZURE_POD_IDENTITY_AUTHORITY_HOST", { AZURE_POD_IDENTITY_AUTHORITY_HOST: url }],
      ["IDENTITY_ENDPOINT", { IDENTITY_ENDPOINT: `${url}/msi/token`, IDENTITY_HEADER: "anything" }],
      ["IDENTITY_HEADER from the token file", { ...endpoint, IDENTITY_HEADER: readFileSync(header, "utf8") }],
    ]) {
      const first = await ask(env, SCOPE);
      assert.ok(first.token && first.lasts > 80_000, JSON.stringify(first));
      const named = await ask(env, SCOPE, environment.AZURE_CLIENT_ID);
      assert.equal(named.token, first.token, "by its client id");
      const refused = await ask(env, "https://vault.azure.net/.default");
      assert.ok(refused.error && !refused.token, "a scope that is not in the list");
      console.log(`ok: ${what}`);
    }
    const wrong = await ask({ ...endpoint, IDENTITY_HEADER: "wrong" }, SCOPE);
    assert.ok(wrong.error && !wrong.token, "a wrong header");
    await control("/faults", { service: "entra", kind: "throttle", retry_after: "1", remaining: 1 });
    const passing = await ask({ AZURE_POD_IDENTITY_AUTHORITY_HOST: url }, NEWER_SCOPE);
    assert.ok(passing.token, JSON.stringify(passing));
    const asked = (await control("/requests")).filter((one) => one.service === "entra");
    assert.deepEqual(asked.map((one) => one.audience), [SCOPE, SCOPE, NEWER_SCOPE, NEWER_SCOPE], "one of each agent, and a retry");
    console.log("ok: throttled, and asked again");
    for (const one of [child, second]) {
      one.kill("SIGTERM");
      assert.equal(await one.ended, 0);
    }
  } finally {
    emulator.kill("SIGTERM");
    await emulator.ended;
  }
}

async function say(scope, clientId) {
  const credential = clientId ? new ManagedIdentityCredential({ clientId }) : new ManagedIdentityCredential();
  try {
    const { token, expiresOnTimestamp } = await credential.getToken(scope);
    console.log(JSON.stringify({ token, lasts: (expiresOnTimestamp - Date.now()) / 1000 }));
  } catch (error) {
    console.log(JSON.stringify({ error: error.message }));
  }
}

const [one, two] = process.argv.slice(2);
if (one?.startsWith("https://")) {
  await say(one, two);
} else if (one && two) {
  const directory = mkdtempSync("/dev/shm/keyferry-node-");
  try {
    await prove(one, two, directory);
    console.log("the SDK for Node.js gets tokens");
  } finally {
    rmSync(directory, { recursive: true });
  }
} else {
  console.error("usage: node get_tokens_with_the_official_sdk.js PATH-OF-keyferry-emulator PATH-OF-keyferry");
  process.exitCode = 64;
}
