import type { IncomingMessage, ServerResponse } from "node:http";
import { gzipSync } from "node:zlib";
import { newDice } from "../sim/dice.ts";
import { newWebServer, type WebServer } from "../web-server.ts";
import { IMAGES } from "./hostile-image.ts";

type Answer = (response: ServerResponse, request: IncomingMessage) => void;

const CHUNK = Buffer.alloc(64 << 10, 0x5a);
const BOMB = gzipSync(Buffer.alloc(50 << 20));

/** Answers that a web server should not give. */
const ANSWERS: Readonly<Record<string, Answer>> = {
  endless: (response) => {
    response.writeHead(200);
    const more = () => {
      while (!response.destroyed && response.write(CHUNK));
    };
    response.on("drain", more);
    more();
  },
  "a byte and no more": (response) =>
    void response.writeHead(200, { "content-length": 1 << 20 }).write("Q"),
  "no answer": () => {},
  "switching protocols": (_, { socket }) =>
    void socket.write(
      "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nx",
    ),
  "early hints without an end": (_, { socket }) =>
    void socket.write("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n".repeat(1000)),
  "a redirect to itself": (response, { url = "/" }) =>
    void response.writeHead(302, { location: url }).end(),
  "a redirect to a file": (response) =>
    void response.writeHead(302, { location: "file:///etc/passwd" }).end(),
  "a redirect to nowhere": (response) =>
    void response.writeHead(301, { location: "http://[" }).end(),
  "too short a length": (_, { socket }) =>
    void socket.end(`HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n${"x".repeat(4096)}`),
  "too long a length": (response) =>
    void response
      .writeHead(200, { "content-length": 1 << 30 })
      .write("QFI\xfb", () => response.destroy()),
  "a length of an exabyte": (_, { socket }) =>
    void socket.end("HTTP/1.1 200 OK\r\nContent-Length: 1152921504606846976\r\n\r\nx"),
  "a compressed bomb": (response) =>
    void response.writeHead(200, { "content-encoding": "gzip" }).end(BOMB),
  "another part than asked": (response) =>
    void response.writeHead(206, { "content-range": "bytes 900-999/1000" }).end("x".repeat(100)),
  "a status that there is not": (_, { socket }) => void socket.end("HTTP/1.1 999 ?\r\n\r\n"),
  "no HTTP": (_, { socket }) => void socket.end("SSH-2.0-OpenSSH\r\n"),
  "a flood of headers": (_, { socket }) =>
    void socket.end(`HTTP/1.1 200 OK\r\n${"X: y\r\n".repeat(100_000)}\r\n`),
  "busy for a year": (response) =>
    void response.writeHead(503, { "retry-after": "31536000" }).end(),
};

export const SOURCES: readonly string[] = [...Object.keys(ANSWERS), ...Object.keys(IMAGES)];

/** A web server of the attacker: `/<what it does>/<its seed>`. */
export async function newHostileWeb(): Promise<WebServer> {
  const web = await newWebServer((request, response) => {
    response.on("error", () => {});
    const [, kind = "", salt = ""] = decodeURIComponent(request.url ?? "").split("/");
    const image = IMAGES[kind];
    if (image !== undefined) response.end(image(newDice(salt)));
    else if (ANSWERS[kind] !== undefined) ANSWERS[kind](response, request);
    else response.writeHead(404).end();
  });
  return web;
}

export function sourceUrl(web: WebServer, kind: string, salt: string): string {
  return `${web.url}/${encodeURIComponent(kind)}/${encodeURIComponent(salt)}`;
}
