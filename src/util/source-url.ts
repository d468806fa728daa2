import { fileURLToPath } from "node:url";
import { invalid } from "./errors.ts";

const FIELD = "source_url";
/** Room for a signed URL with its token; servers take about as much (RFC 9110, section 4.1). */
const LENGTH_MAX = 8192;
const HINT =
  "use an http:, https: or file: URL without a user name or password, such as a signed link";

/**
 * The URL that an image is to be fetched from: `http:`, `https:` or `file:`. The one rule of what a
 * `source_url` may be, for the API, the node and the fake of its driver. What a node allows besides
 * (its folders, its addresses) only that node knows.
 *
 * No message repeats the text: it may hold a secret.
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
  // A server never sees it, so what was meant as a part of a name would be lost.
  if (url.hash !== "") throw invalid(FIELD, 'must not have a "#": write %23 where it is in a name');
  return url;
}

/** Why no web server is asked for a URL, also where another one redirects there: `begins with ftp:`. */
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
    // Such as an encoded slash, or what is no UTF-8.
    throw invalid(FIELD, "must be a file: URL with an absolute path");
  }
  if (path.includes("\0")) throw invalid(FIELD, "must not have a zero byte in its path");
  return path;
}

/**
 * A URL from `parseSourceUrl` as it may be shown and written down: without its query, in which a signature may stand.
 * Whoever may read a disk's record is not to learn what fetched it.
 */
export function withoutSecrets(url: URL): string {
  const shown = new URL(url);
  shown.search = "";
  return shown.href;
}
