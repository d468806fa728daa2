import { fileURLToPath } from "node:url";
import { invalid } from "./errors.ts";

const FIELD = "source_url";
/** Long enough for a signed URL with its token. Servers accept about as much (RFC 9110, section 4.1). */
const LENGTH_MAX = 8192;
const HINT =
  "use an http:, https: or file: URL without a user name or password, such as a signed link";

/**
 * Parses the URL of an image: `http:`, `https:` or `file:`. This is the one rule for `source_url`, which the
 * API, the agent and the fake driver share. Only a node knows what else it requires (its folders, its
 * addresses).
 *
 * No message repeats the text, since it may hold a secret.
 *
 * @throws N0Error `invalid_argument`.
 */
export function parseSourceUrl(text: string): URL {
  if (text === "") throw invalid(FIELD, "must be given");
  if (text.length > LENGTH_MAX) throw invalid(FIELD, `must have at most ${LENGTH_MAX} characters`);
  const url = URL.parse(text);
  if (url === null) throw invalid(FIELD, "must be a URL such as https://images.example/disk.qcow2");
  if (url.protocol === "file:") filePath(url);
  else {
    const fault = webUrlFault(url);
    if (fault !== undefined) throw invalid(FIELD, `${fault}; ${HINT}`);
  }
  // A server never sees a fragment, so "#" in a file name would be lost.
  if (url.hash !== "") throw invalid(FIELD, 'must not have a "#": write %23 where it is in a name');
  return url;
}

/** Why no web server can be asked for a URL, also after a redirect: `begins with ftp:`. */
export function webUrlFault({ protocol, username, password, port }: URL): string | undefined {
  if (protocol !== "http:" && protocol !== "https:") {
    return `begins with ${protocol}`;
  }
  if (username !== "" || password !== "") return "holds a user name or password";
  return port === "0" ? "names port 0" : undefined;
}

/** The absolute path that a `file:` URL names. @throws N0Error `invalid_argument`. */
export function filePath(url: URL): string {
  if (url.host !== "" && url.host !== "localhost") {
    throw invalid(FIELD, "must not name a host in a file: URL: write file:///path");
  }
  if (url.search !== "")
    throw invalid(FIELD, 'must not have a "?": write %3F where it is in a name');
  let path: string;
  try {
    path = fileURLToPath(new URL(`file://${url.pathname}`));
  } catch {
    // Such as an encoded slash, or bytes that are not UTF-8.
    throw invalid(FIELD, "must be a file: URL with an absolute path");
  }
  if (path.includes("\0")) throw invalid(FIELD, "must not have a zero byte in its path");
  return path;
}

/**
 * A URL from `parseSourceUrl` for messages and records: without its query, which may hold a signature. A user
 * who may read the record of a block storage must not learn the secret that fetched it.
 */
export function withoutSecrets(url: URL): string {
  const shown = new URL(url);
  shown.search = "";
  return shown.href;
}
