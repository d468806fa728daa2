import type { Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";

export type MakeTransport = (baseUrl: string, tls?: { ca: string }) => Transport;

/** A client of each protocol and version of HTTP that our servers speak. */
export const TRANSPORTS: readonly (readonly [string, MakeTransport])[] = [
  [
    "connect http1",
    (baseUrl, tls) =>
      createConnectTransport({
        baseUrl,
        httpVersion: "1.1",
        nodeOptions: { agent: false, ...tls },
      }),
  ],
  [
    "connect http2",
    (baseUrl, tls) =>
      createConnectTransport({ baseUrl, httpVersion: "2", nodeOptions: { ...tls } }),
  ],
  [
    "connect json",
    (baseUrl, tls) =>
      createConnectTransport({
        baseUrl,
        httpVersion: "1.1",
        useBinaryFormat: false,
        useHttpGet: true,
        nodeOptions: { agent: false, ...tls },
      }),
  ],
  ["grpc http2", (baseUrl, tls) => createGrpcTransport({ baseUrl, nodeOptions: { ...tls } })],
  [
    "grpc-web http1",
    (baseUrl, tls) =>
      createGrpcWebTransport({
        baseUrl,
        httpVersion: "1.1",
        nodeOptions: { agent: false, ...tls },
      }),
  ],
  [
    "grpc-web http2",
    (baseUrl, tls) =>
      createGrpcWebTransport({ baseUrl, httpVersion: "2", nodeOptions: { ...tls } }),
  ],
];
