import { type IncomingHttpHeaders, request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";

export interface WebRequestOptions {
  readonly method: "GET" | "HEAD" | "POST";
  readonly headers: Readonly<Record<string, string>>;
  readonly content?: string;
  /** The only authority that the server may have, PEM. Default: those of the system. */
  readonly ca?: string;
  /** The maximum size of the answer. */
  readonly bytesMax: number;
  readonly signal: AbortSignal;
}

export interface WebAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

export type WebRequest = (url: URL, options: WebRequestOptions) => Promise<WebAnswer>;

/**
 * Asks a web server for a small text, on a connection of its own, so that nothing stays open. It follows no
 * redirect.
 */
export const requestWeb: WebRequest = async (url, options) => {
  const { method, headers, content, ca, bytesMax, signal } = options;
  const { promise, resolve, reject } = Promise.withResolvers<WebAnswer>();
  const length = content === undefined ? {} : { "content-length": Buffer.byteLength(content) };
  const common = { method, headers: { ...headers, ...length }, agent: false, signal } as const;
  const request =
    url.protocol === "https:"
      ? requestHttps(url, { ...common, ...(ca === undefined ? {} : { ca }) })
      : requestHttp(url, common);
  request.on("error", reject);
  request.on("response", (response) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    response.on("error", reject);
    response.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > bytesMax) request.destroy(new Error(`answers more than ${bytesMax} bytes`));
      else chunks.push(chunk);
    });
    response.on("end", () => {
      if (!response.complete) return reject(new Error("the answer is not complete"));
      const text = Buffer.concat(chunks).toString();
      resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
    });
    response.on("close", () => reject(new Error("the connection broke off")));
  });
  request.end(content);
  return await promise;
};
