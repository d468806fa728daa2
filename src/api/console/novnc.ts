import { createReadStream } from "node:fs";
import { readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import type { HttpHandler } from "../../rpc/http.ts";
import { answerText, requestUrl } from "../../rpc/http.ts";
import { STATIC_PREFIX } from "./urls.ts";

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
};

const HEADERS = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data: blob:; " +
    "connect-src 'self'; frame-ancestors 'self'; base-uri 'none'; form-action 'none'",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

/**
 * The console page: ours, and the modules of noVNC that it imports. The files are listed once, by name. A
 * request chooses from that list, so no path can lead anywhere else.
 */
export async function novncHandler(): Promise<HttpHandler> {
  const files = await servedFiles();
  return {
    pathPrefix: STATIC_PREFIX,
    authentication: "own",
    handle: async (request, response) => {
      const served = files.get(requestUrl(request)?.pathname.slice(STATIC_PREFIX.length) ?? "");
      if (served === undefined) return answerText(response, 404, "not found");
      if (request.method !== "GET" && request.method !== "HEAD") {
        return answerText(response, 405, "use GET", { allow: "GET, HEAD" });
      }
      const { path, contentType } = served;
      // A page of an older version must not load modules of a newer one.
      response.writeHead(200, {
        ...HEADERS,
        "content-type": contentType,
        "cache-control": "no-cache",
      });
      if (request.method === "HEAD") response.end();
      else await pipeline(createReadStream(path), response as NodeJS.WritableStream);
    },
  };
}

interface ServedFile {
  readonly path: string;
  readonly contentType: string;
}

async function servedFiles(): Promise<ReadonlyMap<string, ServedFile>> {
  const novncFolder = join(dirname(fileURLToPath(import.meta.resolve("@novnc/novnc"))), "..");
  const files = new Map<string, ServedFile>();
  const roots: readonly (readonly [string, string])[] = [
    [join(import.meta.dirname, "page"), ""],
    [join(novncFolder, "core"), "core/"],
    [join(novncFolder, "vendor"), "vendor/"],
  ];
  for (const [folder, prefix] of roots) {
    for (const name of await readdir(folder, { recursive: true })) {
      const contentType = CONTENT_TYPES[/\.[a-z]+$/.exec(name)?.[0] ?? ""];
      if (contentType === undefined) continue;
      files.set(prefix + name, { path: join(folder, name), contentType });
    }
  }
  return files;
}
