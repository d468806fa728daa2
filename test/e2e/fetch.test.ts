import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { blankQcow2 } from "../../src/driver/volume/image/blank-qcow2.ts";
import { requirement } from "../node/requirements.ts";
import { type Handle, newWebServer } from "../web-server.ts";
import { newPlace, type Place } from "./place.ts";
import { filesBelow } from "./scan.ts";
import { type Cli, newCli, nodeFlags, type Server, startServer, untilReady } from "./server.ts";

const isPossible =
  requirement("root") && requirement("libvirt") && requirement("netns") && requirement("qemu-img");
const IMAGE = blankQcow2(64n * 1024n * 1024n);
/** More than a stream holds back: what it has not handed on when the connection breaks is lost. */
const BROKEN_AT = 150_000;

/** What the proxy does for each host that is named to it. */
const HOSTS: Readonly<Record<string, Handle>> = {
  "broken.test": ({ headers: { range } }, response) => {
    if (range === undefined) {
      response.writeHead(200, { "content-length": IMAGE.length, etag: '"one"' });
      response.write(IMAGE.subarray(0, BROKEN_AT), () => response.destroy());
      return;
    }
    const from = Number(/\d+/.exec(range)?.[0]);
    const contentRange = `bytes ${from}-${IMAGE.length - 1}/${IMAGE.length}`;
    response.writeHead(206, { etag: '"one"', "content-range": contentRange });
    response.end(IMAGE.subarray(from));
  },
  "busy.test": (_, response) => response.writeHead(429, { "retry-after": "2" }).end(),
  "part.test": (_, response) => {
    response.writeHead(206, { "content-range": `bytes 0-999/${IMAGE.length}` });
    response.end(IMAGE.subarray(0, 1000));
  },
};

describe.runIf(isPossible)("images from the web, through HTTP_PROXY", () => {
  const opened = new AsyncDisposableStack();
  const asked: string[] = [];
  let place: Place;
  let server: Server;
  let cli: Cli;

  beforeAll(async () => {
    place = opened.use(await newPlace());
    const proxy = opened.use(
      await newWebServer((request, response) => {
        const { host, href } = new URL(request.url ?? "");
        asked.push(`${href} ${request.headers.range ?? ""}`.trim());
        HOSTS[host]?.(request, response);
      }),
    );
    server = await startServer(place, {
      role: "standalone",
      flags: ["--name", "node-1", "--log-level", "debug", ...nodeFlags(place)],
      env: { HTTP_PROXY: proxy.url, http_proxy: "", no_proxy: "" },
    });
    opened.defer(async () => void (await server.stop()));
    cli = newCli(server, place);
    await untilReady(cli, 1);
  });
  afterAll(() => opened.disposeAsync());

  const fetchFrom = (name: string, url: string) => {
    const sizes = ["--request_bytes", "64MiB", "--limit_bytes", "64MiB"];
    return cli.run("--no-wait", "bs", "fetch", name, "--source_url", url, ...sizes);
  };

  test("one whose transfer breaks is whole", async () => {
    const { code, stderr } = await fetchFrom("whole", "http://broken.test/disk?sig=s3cret");
    expect(`${code} ${stderr}`).toMatch(/^0 /);
    const whole = "http://broken.test/disk?sig=s3cret";
    expect(asked).toEqual([whole, expect.stringMatching(/^http:.* bytes=[1-9]\d*-$/)]);
    const { annotations } = await cli.json("get", "bs", "whole");
    expect(annotations).toMatchObject({
      "n0core/provisioning/block_storage/fetch_from": "http://broken.test/disk",
    });
  });

  test.for([
    ["busy", "http://busy.test/?sig=s3cret", 1, /Unavailable.*answers 429 Too Many Requests/],
    ["part", "http://part.test/?sig=s3cret", 6, /FailedPrecondition.*answers 206 Partial/],
    ["secret", "https://ann:s3cret@part.test/", 2, /InvalidArgument.*user name or password/],
  ] as const)("%s: refused, and nothing is left", async ([name, url, exitCode, message]) => {
    const { code, stderr } = await fetchFrom(name, url);
    expect(code).toBe(exitCode);
    expect(stderr).toMatch(message);
    const volumes = await filesBelow(join(place.baseDirectory, "volumes"));
    expect(volumes.filter((path) => path.includes(name))).toEqual([]);
  });

  test("no file and no line of the log has a secret of a URL", async () => {
    expect(server.log()).toContainEqual(
      expect.objectContaining({ message: "images are fetched through a proxy" }),
    );
    const entries = await readdir(place.baseDirectory, { recursive: true, withFileTypes: true });
    const files = entries.filter((e) => e.isFile()).map((e) => join(e.parentPath, e.name));
    expect(files.some((path) => path.endsWith(".sqlite"))).toBe(true);
    for (const file of files) {
      const bytes = await readFile(file);
      expect(bytes.includes("s3cret"), file).toBe(false);
    }
  });
});
