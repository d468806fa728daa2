import { join } from "node:path";
import { defined } from "../src/util/defined.ts";
import { parseDuration } from "../src/util/duration.ts";
import { isReadOnTheWay } from "../src/util/loopback.ts";
import { wrongInProjectName } from "../src/util/project.ts";
import { quote } from "../src/util/quote.ts";
import type { Connection } from "./connection.ts";
import { CliError } from "./errors.ts";
import type { Io } from "./io.ts";

export const OUTPUT_FORMATS = ["table", "wide", "json", "yaml", "jsonl", "name"] as const;
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];

/** The flags that every command takes, as commander parsed them. */
export interface GlobalFlags {
  readonly apiEndpoint?: string;
  readonly apiUrl?: string;
  readonly context?: string;
  readonly tokenFile?: string;
  readonly tlsCa?: string;
  readonly project?: string;
  readonly timeout?: number;
  readonly output?: OutputFormat;
  /** False for `--no-wait`: each call is sent only once. */
  readonly wait?: boolean;
}

/** One entry of the config file. */
export interface NamedConnection {
  readonly api_endpoint?: string;
  readonly token_file?: string;
  readonly tls_ca?: string;
  readonly project?: string;
}

const DEFAULT_ENDPOINT = "localhost:20180";
const DEFAULT_PORT = "20180";

export function configFolder(io: Pick<Io, "env" | "homeFolder">): string {
  const base = io.env["XDG_CONFIG_HOME"];
  const isSet = base !== undefined && base !== "";
  return join(isSet ? base : join(io.homeFolder, ".config"), "n0stack");
}

/** Flags take precedence over the environment, and the environment over the context of the config file. */
export function resolveConnection(
  flags: GlobalFlags,
  env: Io["env"],
  named: NamedConnection,
): Connection {
  const endpoint =
    flags.apiEndpoint ??
    flags.apiUrl ??
    nonEmpty(env["N0CLI_API_ENDPOINT"]) ??
    nonEmpty(env["N0CLI_API_URL"]) ??
    named.api_endpoint ??
    DEFAULT_ENDPOINT;
  const tokenFile = flags.tokenFile ?? nonEmpty(env["N0CLI_TOKEN_FILE"]) ?? named.token_file;
  const tlsCa = flags.tlsCa ?? nonEmpty(env["N0CLI_TLS_CA"]) ?? named.tls_ca;
  const project = flags.project ?? nonEmpty(env["N0CLI_PROJECT"]) ?? named.project;
  if (project !== undefined) throwIfNoProject(project);
  return {
    baseUrl: parseEndpoint(endpoint, tlsCa !== undefined),
    ...defined({ tokenFile, tlsCa, project }),
  };
}

/** @throws CliError that says what the name of a project is made of. */
export function throwIfNoProject(text: string): void {
  const wrong = wrongInProjectName(text);
  if (wrong !== undefined) throw new CliError(wrong);
}

/**
 * `host:port`, `grpc://host:port`, `http://…` and `https://…`. Without a scheme, or with `grpc://`, it uses TLS
 * if there is an authority to check the server with. The port defaults to that of the API.
 *
 * @throws CliError if the text is not an endpoint.
 */
export function parseEndpoint(text: string, isTls: boolean): string {
  const wrong = new CliError(
    `${quote(text)} is not an API endpoint: write host:port, http://host:port or https://host:port`,
  );
  const withScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `grpc://${text}`;
  const match = /^(grpc|grpcs|http|https):\/\/([^/?#@\s]+)\/?$/i.exec(withScheme);
  const scheme = match?.[1]?.toLowerCase();
  const authority = match?.[2];
  if (scheme === undefined || authority === undefined) throw wrong;
  const isSecure = scheme === "https" || scheme === "grpcs" || (scheme === "grpc" && isTls);
  const hasPort = /:\d+$/.test(authority);
  const protocol = isSecure ? "https" : "http";
  const port = scheme.startsWith("http") && !hasPort ? "" : hasPort ? "" : `:${DEFAULT_PORT}`;
  const url = URL.parse(`${protocol}://${authority}${port}`);
  if (url === null || url.hostname === "") throw wrong;
  return url.origin;
}

/** True if somebody on the network could read the token. */
export function isTokenExposed({ baseUrl, tokenFile, signIn }: Connection): boolean {
  return (tokenFile ?? signIn) !== undefined && isReadOnTheWay(baseUrl);
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}

/** `30s`, `1.5m`, `500ms`, `2h`; a bare number is seconds. */
export function parseTimeout(text: string): number {
  const ms = parseDuration(text) ?? parseDuration(`${text}s`);
  if (ms === undefined || ms < 1 || ms > 2 ** 31 - 1) {
    throw new CliError(`${quote(text)} is not a duration: write 500ms, 30s, 5m or 1h`);
  }
  return ms;
}
