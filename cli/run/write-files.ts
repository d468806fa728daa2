import { readFile, stat } from "node:fs/promises";
import { isMap, isSeq, parseDocument } from "yaml";
import { isMultipart, mergedUserData } from "../../src/util/user-data.ts";
import { CliError } from "../errors.ts";

const CONFIG = "#cloud-config";
const EXECUTABLE = 0o100;
/** User data has no room for more. */
const FILE_BYTES_MAX = 65_536;

/** An entry of cloud-init's `write_files`. */
interface WriteFile {
  readonly path: string;
  readonly content: string;
  readonly encoding: "b64";
  readonly permissions: string;
}

/**
 * User data that also writes local files into the guest.
 *
 * @param asked Each is a path in the guest, `=`, and a local file.
 * @throws CliError for a path that is not absolute, and a file that cannot be read.
 */
export async function withFiles(
  userData: string | undefined,
  asked: readonly string[],
): Promise<string | undefined> {
  if (asked.length === 0) return userData;
  const files = await Promise.all(asked.map(readAsked));
  const ours = `${CONFIG}\n${JSON.stringify({ write_files: files })}\n`;
  if (userData === undefined) return ours;
  // The API checks a cloud-config, and not the parts of a multipart.
  const isConfig = !isMultipart(userData) && userData.split("\n", 1)[0]?.trimEnd() === CONFIG;
  return isConfig ? addedTo(userData, files) : mergedUserData({ theirs: userData, ours });
}

async function readAsked(asked: string): Promise<WriteFile> {
  const at = asked.indexOf("=");
  const [path, local] = [asked.slice(0, Math.max(at, 0)), asked.slice(at + 1)];
  if (!path.startsWith("/") || path.endsWith("/") || local === "") {
    throw new CliError(
      `--write-file: write it as /path/in/guest=local-file, not as ${JSON.stringify(asked)}`,
    );
  }
  try {
    const { mode, size } = await stat(local);
    if (size > FILE_BYTES_MAX)
      throw new CliError(`--write-file: ${local} has more than ${FILE_BYTES_MAX} bytes`);
    const content = (await readFile(local)).toString("base64");
    const isExecutable = (mode & EXECUTABLE) !== 0;
    return { path, content, encoding: "b64", permissions: isExecutable ? "0755" : "0644" };
  } catch (reason) {
    if (reason instanceof CliError) throw reason;
    throw new CliError(`--write-file: cannot read ${local}`, undefined, reason);
  }
}

/** The API says where a text is wrong, so such a text stays as it is. */
function addedTo(text: string, files: readonly WriteFile[]): string {
  const document = parseDocument(text, { version: "1.1", uniqueKeys: false });
  if (document.errors.length > 0 || !isMap(document.contents)) return text;
  const present = document.get("write_files", true);
  if (present === undefined) document.set("write_files", document.createNode(files));
  else if (isSeq(present)) for (const file of files) present.add(document.createNode(file));
  else {
    throw new CliError("--user-data: write_files must be a list, because --write-file adds to it");
  }
  return document.toString({ lineWidth: 0 });
}
