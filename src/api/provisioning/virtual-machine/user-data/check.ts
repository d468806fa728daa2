import { isMap, isSeq, LineCounter, parseDocument } from "yaml";
import { invalid } from "../../../../util/errors.ts";
import { isShallowYaml } from "./shallow-yaml.ts";

const FIELD = "user_data";
const CONFIG = "#cloud-config";
const TEMPLATE = "## template: jinja";
const FIRST_WORDS: readonly string[] = [
  "#include",
  "#include-once",
  "#cloud-boothook",
  "#part-handler",
];
const ALLOWED = `${CONFIG}, #!, ${FIRST_WORDS.join(", ")}, "${TEMPLATE}", or the headers of a MIME multipart`;
/** What our own part adds to, so these must be lists. */
const LISTS = ["users", "ssh_authorized_keys"];

/**
 * User data as it is stored: without the mark of a byte order, and with the line ends of Unix. No message holds a part
 * of it, because it may be a secret.
 *
 * @throws N0Error `invalid_argument` for a text that cloud-init would not understand.
 */
export function checkUserData(wished: string): string {
  const text = wished.replace(/^\ufeff/, "").replaceAll("\r\n", "\n");
  if (text === "") return "";
  // The first byte of gzip. The second one is not UTF-8, so a client may have replaced it.
  if (text.startsWith("\u001f")) throw invalid(FIELD, "is compressed: send it as it was before");
  if (text.includes("\0")) throw invalid(FIELD, "must not have a zero byte in it: it is a text");
  const [first = ""] = text.split("\n", 1);
  const [word = ""] = first.split(/\s/, 1);
  if (/^(content-type|mime-version):/i.test(first)) checkMultipart(text);
  else if (first.trimEnd() === TEMPLATE) checkTemplate(text);
  else if (first.trimEnd() === CONFIG) checkCloudConfig(text);
  else if (!first.startsWith("#!") && !FIRST_WORDS.includes(word)) {
    throw invalid(FIELD, `the first line is unknown: it must begin with ${ALLOWED}`);
  }
  return text;
}

/** What becomes of the template is known in the guest alone. */
function checkTemplate(text: string): void {
  const [, second = ""] = text.split("\n", 2);
  if ([CONFIG, "#!", "#cloud-boothook"].some((one) => second.startsWith(one))) return;
  throw invalid(
    FIELD,
    `line 2 must begin with ${CONFIG}, #! or #cloud-boothook: line 1 says that it is a template`,
  );
}

/** cloud-init alone checks its parts, which may be encoded. */
function checkMultipart(text: string): void {
  const end = text.indexOf("\n\n");
  // A header goes on where a line begins with a space.
  const headers = text.slice(0, Math.max(end, 0)).replace(/\n[ \t]+/g, " ");
  const type = /^content-type:[ \t]*multipart\/[a-z]+;(.*)$/im.exec(headers)?.[1] ?? "";
  const boundary = /(?:^|[;\s])boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))/i.exec(type);
  if (boundary === null) {
    throw invalid(
      FIELD,
      'must begin with the header "Content-Type: multipart/mixed; boundary=…", and have an empty line after its headers',
    );
  }
  if (!/^mime-version:/im.test(headers)) {
    throw invalid(FIELD, 'must have the header "MIME-Version: 1.0"');
  }
  if (!text.includes(`\n--${boundary[1] ?? boundary[2]}\n`)) {
    throw invalid(FIELD, "has no parts: each begins with a line of -- and the boundary");
  }
}

/** cloud-init reads YAML 1.1, and takes the last one of equal keys. */
function checkCloudConfig(text: string): void {
  if (!isShallowYaml(text)) throw invalid(FIELD, "is YAML with too many levels in each other");
  const lineCounter = new LineCounter();
  const { errors, contents } = parseDocument(text, {
    ...{ version: "1.1", lineCounter, uniqueKeys: false, prettyErrors: false },
  });
  const [error] = errors;
  if (error !== undefined) {
    const { line, col } = lineCounter.linePos(error.pos[0]);
    // The message of the parser may quote the text.
    const why = error.code.toLowerCase().replaceAll("_", " ");
    throw invalid(FIELD, `line ${line}, column ${col} is not YAML: ${why}`);
  }
  if (!isMap(contents)) {
    throw invalid(FIELD, `must have a map of YAML after ${CONFIG}, such as "packages: [nginx]"`);
  }
  for (const key of LISTS) {
    const value: unknown = contents.get(key, true);
    if (value === undefined || isSeq(value)) continue;
    throw invalid(
      FIELD,
      `${key} must be a list: the users and keys of the request are added to it`,
    );
  }
}
