import type { RawRequest } from "./http.ts";
import type { Way } from "./wire.ts";

const TRIES_MAX = 40;
const SHOWN_BODY_MAX = 600;

/**
 * The same request without unneeded headers and with the shortest body that still shows the fault, as far as a
 * few tries find.
 */
export async function smallest(
  request: RawRequest,
  stillDoes: (request: RawRequest) => Promise<boolean>,
): Promise<RawRequest> {
  let small = request;
  let tries = 0;
  const attempt = async (smaller: RawRequest) => {
    if (tries++ >= TRIES_MAX || !(await stillDoes(smaller))) return false;
    small = smaller;
    return true;
  };
  if (!(await attempt({ ...small }))) return request;
  for (const name of Object.keys(request.headers)) {
    const { [name]: _, ...headers } = small.headers;
    await attempt({ ...small, headers });
  }
  for (let part = small.body.length >> 1; part > 0 && tries < TRIES_MAX; part >>= 1) {
    const keep = small.body.length - part;
    if (keep < 0) continue;
    await attempt({ ...small, body: small.body.subarray(0, keep) });
  }
  return small;
}

/** A command that sends it; `$TOKEN` stands for the server's token. */
export function asCurl(url: string, { http }: Way, { path, headers, body }: RawRequest): string {
  const version = http === 2 ? "--http2-prior-knowledge" : "--http1.1";
  const given = Object.entries(headers).map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`);
  const command = `curl ${version} -H "authorization: Bearer $TOKEN" ${given.join(" ")} ${url}${path}`;
  const bytes = Buffer.from(body);
  if (/^[\x20-\x7e]*$/.test(bytes.toString("latin1"))) {
    return cut(`${command} --data-binary ${quoted(bytes.toString())}`);
  }
  return cut(`echo ${bytes.toString("base64")} | base64 -d | ${command} --data-binary @-`);
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function cut(text: string): string {
  const more = text.length - SHOWN_BODY_MAX * 2;
  if (more <= 0) return text;
  return `${text.slice(0, SHOWN_BODY_MAX)} … ${more} more characters … ${text.slice(-SHOWN_BODY_MAX)}`;
}
