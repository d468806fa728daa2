import { generateKeyPair, SignJWT, UnsecuredJWT } from "jose";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { FakeClock } from "../../../../test/fake-clock.ts";
import { newFakeClock } from "../../../../test/fake-clock.ts";
import { N0Error } from "../../../util/errors.ts";
import { silentLog } from "../../../util/log.ts";
import type { FakeIssuer } from "./fake-issuer.ts";
import { openFakeIssuer } from "./fake-issuer.ts";
import type { OidcProvider } from "./provider.ts";
import type { TokenVerifier } from "./verifier.ts";
import { newTokenVerifier } from "./verifier.ts";

let clock: FakeClock;
let issuer: FakeIssuer;
let verifier: TokenVerifier;
beforeEach(async () => {
  clock = newFakeClock();
  issuer = await openFakeIssuer(clock.nowMs);
  verifier = verifierOf({});
});
afterEach(() => issuer[Symbol.asyncDispose]());

function verifierOf(change: Partial<OidcProvider>): TokenVerifier {
  return newTokenVerifier([{ ...issuer.provider, ...change }], clock, silentLog);
}

async function refusal(token: string, by = verifier): Promise<string> {
  const reason: unknown = await by.verify(token).catch((error: unknown) => error);
  if (!(reason instanceof N0Error)) throw new Error("it was not refused", { cause: reason });
  return `${reason.kind}: ${reason.message}`;
}

/** In seconds since the epoch. */
function inSeconds(seconds: number): number {
  return Math.floor(clock.nowMs() / 1000) + seconds;
}

describe("what a good token says", () => {
  test("the person, the name, the groups, and how long", async () => {
    const claims = { sub: "7", preferred_username: "ann@corp.example", groups: ["ops", "dev"] };
    expect(await verifier.verify(await issuer.sign({ ...claims, exp: inSeconds(60) }))).toEqual({
      issuer: issuer.issuer,
      subject: "7",
      userName: "ann@corp.example",
      groups: ["ops", "dev"],
      expiresMs: inSeconds(120) * 1000,
    });
  });

  test.for([
    [{ preferred_username: undefined, email: "a@b.example" }, {}, "a@b.example"],
    [{ preferred_username: undefined }, {}, "1"],
    [{ upn: "ann" }, { userClaim: "upn" }, "ann"],
  ] as const)("the name comes from %j with %j", async ([claims, change, name]) => {
    const token = await issuer.sign(claims);
    expect((await verifierOf(change).verify(token)).userName).toBe(name);
  });

  test("an access token for the API counts too, whatever its client", async () => {
    const token = await issuer.sign({ aud: "cloud", azp: "web" }, { typ: "at+jwt" });
    expect(await refusal(token)).toContain('is not for the audience "n0cli"');
    const ours = verifierOf({ audiences: ["cloud"] });
    expect((await ours.verify(token)).userName).toBe("alice");
  });

  test.for(["RS256", "PS256", "EdDSA"])("%s is accepted", async (alg) => {
    await using other = await openFakeIssuer(clock.nowMs, alg);
    const ours = newTokenVerifier([other.provider], clock, silentLog);
    expect((await ours.verify(await other.sign())).userName).toBe("alice");
  });
});

describe("a bad token is refused, and the reason is said", () => {
  test.for([
    ["has expired", { exp: -61 }],
    ["is not valid yet", { iat: 120 }],
    ["is not valid yet", { nbf: 120 }],
  ] as const)("it %s: %j seconds from now", async ([why, times]) => {
    const seconds = Object.entries(times).map(([claim, s]) => [claim, inSeconds(s)]);
    const token = await issuer.sign(Object.fromEntries(seconds));
    expect(await refusal(token)).toMatch(new RegExp(`^unauthenticated: the token ${why}`));
  });

  test("but clocks may differ by a minute", async () => {
    const token = await issuer.sign({ exp: inSeconds(-50), iat: inSeconds(50) });
    expect((await verifier.verify(token)).userName).toBe("alice");
  });

  test.for([
    ["is not for the audience", { aud: "other" }],
    ["is not for the audience", { aud: undefined }],
    ["was made for the client", { aud: ["n0cli", "other"], azp: "other" }],
    ['has no valid claim "exp"', { exp: undefined }],
    ['has no valid claim "sub"', { sub: undefined }],
    ["is from the issuer", { iss: "https://other.example" }],
    ["is from the issuer", { iss: undefined }],
    ["neither an ID token nor an access token", { events: {} }],
    ['claim "sub" is not a text of 1 to 255', { sub: "a".repeat(256) }],
    ['claim "preferred_username" is not a text', { preferred_username: ["alice"] }],
    [
      "an address that the provider has not verified",
      {
        preferred_username: undefined,
        email: "a@b.example",
        email_verified: false,
      },
    ],
    ['claim "groups" is not a list of texts', { groups: [1] }],
  ] as const)("%s: %j", async ([why, claims]) => {
    expect(await refusal(await issuer.sign(claims))).toContain(why);
  });

  test("it is of another type", async () => {
    const token = await issuer.sign({}, { typ: "logout+jwt" });
    expect(await refusal(token)).toContain("neither an ID token nor an access token");
  });

  test("it has no signature, or one that needs no private key", async () => {
    const claims = { iss: issuer.issuer, aud: "n0cli", sub: "1", exp: inSeconds(60), iat: 0 };
    expect(await refusal(new UnsecuredJWT(claims).encode())).toContain(
      "must be signed with one of",
    );
    const secret = new TextEncoder().encode("the public key of the issuer, as it is published");
    const signer = new SignJWT(claims).setProtectedHeader({ alg: "HS256", kid: "key-1" });
    expect(await refusal(await signer.sign(secret))).toContain("must be signed with one of");
  });

  test("another key signed it under the name of the issuer's key", async () => {
    const { privateKey } = await generateKeyPair("ES256");
    expect(await refusal(await issuer.sign({}, {}, privateKey))).toContain(
      "was not signed by http",
    );
  });

  test("it was changed or cut", async () => {
    const token = await issuer.sign();
    const [head = "", , signature = ""] = token.split(".");
    const claims = JSON.stringify({ iss: issuer.issuer, sub: "2", aud: "n0cli" });
    const body = Buffer.from(claims).toString("base64url");
    expect(await refusal(`${head}.${body}.${signature}`)).toContain("was not signed by");
    for (const cut of [
      token.slice(0, -4),
      token.slice(0, token.lastIndexOf(".") + 1),
      "a.b.c",
      "..",
    ])
      expect(await refusal(cut)).toMatch(/^unauthenticated: the token /);
  });

  test("it has 10,000 groups, or more than 256", async () => {
    const groups = Array.from({ length: 10_000 }, (_, i) => `group-${i}`);
    const large = await issuer.sign({ groups });
    expect(await refusal(large)).toContain("more than 16384 bytes: let the provider put fewer");
    const many = await issuer.sign({ groups: groups.slice(0, 257) });
    expect(await refusal(many)).toContain('"groups" holds 257 groups, and may hold 256');
    expect(issuer.asked).toHaveLength(2);
  });
});

describe("the keys of the issuer", () => {
  const ONE_FETCH = ["/.well-known/openid-configuration", "/keys"];

  test("are fetched once for many tokens, also of the same time", async () => {
    const tokens = await Promise.all(["a", "b", "c"].map((sub) => issuer.sign({ sub })));
    await Promise.all(tokens.map((token) => verifier.verify(token)));
    for (const token of tokens) await verifier.verify(token);
    expect(issuer.asked).toEqual(ONE_FETCH);
  });

  test("rotate: a new key is fetched when a token names it, and the old one no longer counts", async () => {
    const before = await issuer.sign();
    await verifier.verify(before);
    await issuer.rotate();
    await clock.advance(30_000);
    await verifier.verify(await issuer.sign());
    expect(issuer.asked).toHaveLength(4);
    expect(await refusal(before)).toContain("names no key that http");
  });

  test("are not fetched more often than every 30 s, however many tokens name unknown keys", async () => {
    await verifier.verify(await issuer.sign());
    for (let i = 0; i < 50; i += 1) {
      const token = await issuer.sign({}, { kid: `made-up-${i}` });
      expect(await refusal(token)).toContain("names no key");
      await clock.advance(1_000);
    }
    expect(issuer.asked.length).toBeLessThanOrEqual(4);
  });

  test("count an hour after the issuer went down, and it is asked again every 5 s", async () => {
    const token = await issuer.sign({ exp: inSeconds(36_000) });
    await verifier.verify(token);
    await issuer.stop();
    await clock.advance(59 * 60_000);
    expect((await verifier.verify(token)).userName).toBe("alice");
    await clock.advance(60_000);
    expect(await refusal(token)).toMatch(/^unavailable: the keys of the OIDC issuer http/);
    await issuer.start();
    await clock.advance(5_000);
    expect((await verifier.verify(token)).userName).toBe("alice");
  });

  test.for<[string, FakeIssuer["answer"]]>([
    ["an error", (_path, response) => response.writeHead(500).end("{}")],
    ["no JSON", (_path, response) => response.end("<html>")],
    ["a list", (_path, response) => response.end("[]")],
    [
      "the document of another issuer",
      (_path, response) =>
        response.end('{"issuer":"https://other.example","jwks_uri":"https://other.example/keys"}'),
    ],
    ["a redirect", (_path, response) => response.writeHead(302, { location: "/keys" }).end()],
    [
      "half of it",
      (_path, response) => {
        response.writeHead(200, { "content-length": 100 }).write("{");
        response.socket?.end();
      },
    ],
    [
      "without end",
      (_path, response) => {
        const more = () => void (response.destroyed || response.write("x".repeat(65_536), more));
        more();
      },
    ],
  ])(
    "cannot be read while the issuer answers %s: nobody gets in, until it is well",
    async ([, answer]) => {
      issuer.answer = answer;
      const token = await issuer.sign();
      expect(await refusal(token)).toMatch(/^unavailable: the keys of the OIDC issuer http/);
      issuer.answer = undefined;
      await clock.advance(5_000);
      expect((await verifier.verify(token)).userName).toBe("alice");
    },
  );

  test.for([
    ["no address of keys", {}],
    ["an address that is not safe", { jwks_uri: "http://keys.example/" }],
    ["an address with a password", { jwks_uri: "https://a:b@keys.example/" }],
  ] as const)("cannot be read from %s", async ([, more]) => {
    issuer.answer = (_path, response) =>
      response.end(JSON.stringify({ issuer: issuer.issuer, ...more }));
    expect(await refusal(await issuer.sign())).toMatch(/^unavailable/);
    expect(issuer.asked).toEqual(ONE_FETCH.slice(0, 1));
  });

  test("that nobody can ask for are not said to be wrong", async () => {
    await verifier.verify(await issuer.sign());
    await issuer.rotate();
    await issuer.stop();
    await clock.advance(30_000);
    expect(await refusal(await issuer.sign())).toMatch(/^unavailable/);
  });

  test.for([
    ["no list", { keys: {} }],
    ["not keys", { keys: [1] }],
    ["too many", { keys: Array.from({ length: 101 }, () => ({ kty: "EC" })) }],
  ] as const)("are %s", async ([, set]) => {
    issuer.answer = (path, response) =>
      response.end(
        JSON.stringify(
          path === "/keys" ? set : { issuer: issuer.issuer, jwks_uri: `${issuer.issuer}/keys` },
        ),
      );
    expect(await refusal(await issuer.sign())).toMatch(/^unavailable/);
  });

  test("do not come: a slow issuer makes a caller wait 5 s, and all callers for one answer", async () => {
    issuer.answer = () => {};
    const token = await issuer.sign();
    const waiting = Promise.all([refusal(token), refusal(token), refusal(token)]);
    // The request has to arrive before time may pass.
    while (issuer.asked.length === 0) await new Promise(setImmediate);
    await clock.advance(5_000);
    for (const answer of await waiting) expect(answer).toMatch(/^unavailable/);
    expect(issuer.asked).toHaveLength(1);
  });
});
