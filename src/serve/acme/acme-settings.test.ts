import { get } from "node:http";
import { expect, test } from "vitest";
import { freePort } from "../../../test/free-port.ts";
import { loadSettings } from "../config.ts";
import { acmeSettingsOf } from "./acme-settings.ts";
import { httpPresenter } from "./presenters.ts";

const DIRECTORY = "https://acme.example/directory";
const both = { acmeDirectory: DIRECTORY, acmeDomain: "cloud.example" };

function read(flags: Readonly<Record<string, unknown>>) {
  const settings = loadSettings("api", { flags, environment: {} });
  return acmeSettingsOf(settings, (setting, path) => `${setting} ${path}`);
}

test("reads the settings, with each domain once", () => {
  expect(read({})).toBeUndefined();
  const acmeDomain = "Cloud.Example,cloud.example,www.cloud.example";
  expect(read({ ...both, acmeDomain, acmeCa: "/ca.pem" })).toEqual({
    directoryUrl: DIRECTORY,
    domains: ["cloud.example", "www.cloud.example"],
    email: undefined,
    challenge: "http-01",
    httpPort: 80,
    ca: "acme-ca /ca.pem",
  });
});

test.for([
  [{ acmeDomain: "cloud.example" }, "--acme-domain needs --acme-directory"],
  [{ acmeEmail: "a@b.example" }, "--acme-email needs --acme-directory"],
  [{ acmeCa: "/ca.pem" }, "--acme-ca needs --acme-directory"],
  [{ acmeDirectory: DIRECTORY }, "--acme-directory needs --acme-domain"],
  [{ ...both, tlsCert: "/c", tlsKey: "/k" }, "--acme-directory and --tls-cert exclude each other"],
  [{ ...both, insecure: "true" }, "--acme-directory and --insecure exclude each other"],
  [{ ...both, acmeDomain: "*.cloud.example" }, "must be DNS names such as cloud.example"],
  [{ ...both, acmeDomain: "192.0.2.1" }, "must be DNS names such as cloud.example"],
  [{ ...both, acmeDomain: "a/../b" }, "must be DNS names such as cloud.example"],
  [{ ...both, acmeDirectory: "http://acme.example/directory" }, "must be an https: URL"],
  [{ ...both, acmeEmail: "a@b?x=y" }, "must be an address such as admin@cloud.example"],
  [{ ...both, acmeChallenge: "dns-01" }, "must be one of http-01, tls-alpn-01"],
] as const)("refuses %o", ([flags, message]) => {
  expect(() => read(flags)).toThrow(message);
});

test("http-01: the port answers the challenge and nothing else, and only meanwhile", async () => {
  const port = await freePort();
  const presenter = httpPresenter("127.0.0.1", port);
  const ask = async (path: string) => {
    const { promise, resolve } = Promise.withResolvers<string>();
    get({ host: "127.0.0.1", port, path }, (response) => {
      response.on("data", (chunk: Buffer) => resolve(chunk.toString()));
      response.on("end", () => resolve(String(response.statusCode)));
    }).on("error", (error: NodeJS.ErrnoException) => resolve(String(error.code)));
    return await promise;
  };
  const shown = await presenter.present("cloud.example", "t", "t.hash");
  expect(await ask("/.well-known/acme-challenge/t")).toBe("t.hash");
  expect(await ask("/.well-known/acme-challenge/other")).toBe("404");
  expect(await ask("/")).toBe("404");
  await expect(presenter.present("cloud.example", "t", "t.hash")).rejects.toThrow(
    `--acme-http-port: cannot listen on 127.0.0.1:${port} for the challenge: `,
  );
  await shown[Symbol.asyncDispose]();
  expect(await ask("/.well-known/acme-challenge/t")).toBe("ECONNREFUSED");
});
