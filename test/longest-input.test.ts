// No text from outside holds a process up, whatever it is: each parser is given its longest input of one
// repeated character, and of two that take turns, and answers or refuses in time.
import { describe, expect, test } from "vitest";
import { scalarFromText } from "../cli/convert/scalar.ts";
import { readTrees } from "../cli/do/yaml-tree.ts";
import { LightHeaders } from "../cli/headers.ts";
import { parseEndpoint, parseTimeout } from "../cli/settings.ts";
import { printable } from "../cli/terminal-text.ts";
import { parseSince } from "../cli/transaction/time.ts";
import { parseLocation } from "../src/agent/location.ts";
import { isRangeMeant, unmetCondition } from "../src/api/console/conditions.ts";
import { parseRange } from "../src/api/console/range.ts";
import { downloadRef, vncSocketRef } from "../src/api/console/urls.ts";
import { requestKeyOf } from "../src/api/core/idempotency/request-key.ts";
import { lastOf } from "../src/api/core/read/page-token.ts";
import { claimName } from "../src/api/iam/oidc/claim-name.ts";
import { inOneLine, lastLine } from "../src/driver/command/one-line.ts";
import { parseDomainXml } from "../src/driver/compute/libvirt/domain-xml.ts";
import {
  lastLineOfQemu,
  lastWords,
  withoutWarnings,
} from "../src/driver/compute/libvirt/last-words.ts";
import { toN0Error } from "../src/driver/compute/libvirt/libvirt-error.ts";
import { escapeXml, parseXml } from "../src/driver/compute/libvirt/xml.ts";
import { parseLinkMark } from "../src/driver/network/link-mark.ts";
import { seedFiles } from "../src/driver/seed/cloud-init.ts";
import { imageFormat, sampleOf } from "../src/driver/volume/image/image-format.ts";
import { parseQcow2Header } from "../src/driver/volume/image/qcow2-header.ts";
import { textKind } from "../src/driver/volume/image/text.ts";
import { checkSparseVmdk } from "../src/driver/volume/image/vmdk-descriptor.ts";
import {
  contentEncodings,
  contentLength,
  contentRange,
  refusesRanges,
  retryAfterMs,
  strongValidator,
} from "../src/driver/volume/web/headers.ts";
import { UserService } from "../src/gen/n0stack/iam/v0/user_pb.ts";
import { hostRule } from "../src/rpc/host.ts";
import { tokenOf } from "../src/rpc/token-auth.ts";
import { baseUrlOf } from "../src/rpc/transport.ts";
import { oidcIssuer, oidcRoleRule } from "../src/serve/oidc-settings.ts";
import { baseUrl, duration, list, location, text } from "../src/serve/setting.ts";
import { webProxiesFrom } from "../src/serve/web-proxies.ts";
import { parseAddressRange } from "../src/util/address-range.ts";
import { parseBytes } from "../src/util/bytes.ts";
import { canonicalAddress, parseAddress, parseCidr } from "../src/util/cidr.ts";
import { parseHardwareAddress } from "../src/util/hardware-address.ts";
import { parseChecksum } from "../src/util/image-checksum.ts";
import { wrongInProjectName } from "../src/util/project.ts";
import { parseSourceUrl } from "../src/util/source-url.ts";
import { parseSshPublicKey } from "../src/util/ssh-key.ts";
import { parseUuid } from "../src/util/uuid.ts";
import { proxyFor } from "../src/util/web-proxies.ts";

const BUDGET_MS = 50;
/** The best counts: the first ones compile the code. */
const TRIES = 8;

const KIB = 1024;
/** What is looked at of an image, and a generous bound of a field, a header and what a program prints. */
const LONGEST = 64 * KIB;

const ONES = [..." \t\n\r0a\"'[]{}<>(),:;/\\-=#&.%*@_|~\0\x7f\xff"];
/** What a pattern looks for and may look for again and again. */
const WORDS = [
  "qemu-system-a: ",
  "domain ",
  "Could not open ",
  "<!--",
  "<a ",
  "<a b='",
  "-cert-v1",
];
const FILLERS = [
  ...ONES,
  ...WORDS,
  " \n",
  " a",
  "a ",
  "a,",
  "a.",
  "a/",
  "a:",
  "a-",
  "a=",
  '"a',
  "<a",
  "1.",
  "# ",
  "- ",
  "\n#",
  "\r\n",
  "\0a",
];

type Parser = (input: string) => unknown;
/** Text before the filler, and behind it. */
type Frame = readonly [before: string, after: string];

const bare: Frame = ["", ""];
const inText: Frame = ["a", "a"];
const bytesOf = (input: string) => Buffer.from(input, "latin1");

/** A sparse vmdk whose descriptor is this text. */
function vmdkOf(descriptor: string): Uint8Array {
  const bytes = Buffer.alloc(512 + LONGEST);
  bytes.write("KDMV");
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setBigUint64(12, 2048n, true);
  view.setBigUint64(28, 1n, true);
  view.setBigUint64(36, BigInt(LONGEST / 512), true);
  bytes.write(descriptor, 512, "latin1");
  return bytes;
}

const QEMU = "qemu-system-x86_64: ";
const ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEK3lKLZ4ZG0zsu8qRwJM8Y3QAzcp6GIaHvxIDR9wf3y";
const never = { host: "" };

/** Each with the texts that lead into its corners. */
const PARSERS: ReadonlyArray<readonly [name: string, parse: Parser, ...frames: Frame[]]> = [
  [
    "the format of an image",
    (input) => imageFormat(sampleOf(bytesOf(input))),
    ["<", ""],
    ["# Disk", ""],
    ["#", "version=1"],
    ["<!doctype", ""],
    ["<Envelope ", ""],
  ],
  [
    "the kind of a text",
    (input) => textKind(bytesOf(input)),
    ["<", ""],
    ["{", ""],
    ["<a:Envelope ", "<"],
    ["\xff\xfe", ""],
  ],
  ["the header of a qcow2", (input) => parseQcow2Header(bytesOf(input)), ["QFI\xfb\0\0\0\x03", ""]],
  [
    "the descriptor of a vmdk",
    (input) => checkSparseVmdk(vmdkOf(input)),
    ['createType="monolithicSparse"\n', ""],
    ['createType="monolithicSparse"\nRW ', ' SPARSE "a"'],
    ['createType="monolithicSparse"\nRW 1 SPARSE "', ""],
    ["createType=", ""],
    ["RW", ""],
  ],
  [
    "an SSH key",
    (input) => parseSshPublicKey("key", input),
    ["ssh-ed25519 ", ""],
    ["ssh-ed25519 AAAA", " me"],
    [`${ED25519} `, ""],
    [`${ED25519} a`, "a"],
    ["-cert-v", ""],
  ],
  ["a checksum", parseChecksum, ["sha256:", ""]],
  [
    "a source URL",
    parseSourceUrl,
    ["http://", ""],
    ["http://a/", ""],
    ["file:///", ""],
    ["file://", ""],
  ],
  ["a MAC address", (input) => parseHardwareAddress("mac", input), ["52:54:", ""]],
  [
    "an address",
    (input) => [parseAddress(input, 4), parseAddress(input, 6), canonicalAddress(input)],
    ["::", ""],
    ["::ffff:", ""],
  ],
  ["a range of addresses", parseAddressRange, ["10.0.0.1-", ""], ["", "-10.0.0.1"]],
  ["a CIDR", (input) => [parseCidr(input, 4), parseCidr(input, 6)], ["10.0.0.0/", ""], ["", "/24"]],
  ["a size", parseBytes, ["1", ""], ["1.", "GiB"]],
  ["a UUID", parseUuid],
  ["a location", (input) => [parseLocation(input)], ["a/", "/1"]],
  [
    "settings",
    (input) => [
      tried(list(text), input),
      tried(location, input),
      tried(duration, input),
      baseUrl(input),
    ],
    ["http://", ""],
  ],
  [
    "the proxies of the environment",
    (input) => webProxiesFrom({ http_proxy: input, no_proxy: input }),
    ["http://", ""],
  ],
  [
    "the exceptions of proxies",
    (input) =>
      webProxiesFrom({ http_proxy: "http://a", no_proxy: input })
        .exceptions.slice(0, 100)
        .map((exception) =>
          proxyFor(new URL("http://b"), { http: new URL("http://a"), exceptions: [exception] }),
        ),
    ["[", ""],
    ["[", "]:1"],
  ],
  [
    "Retry-After",
    (input) => retryAfterMs({ "retry-after": input }, 0),
    ["1", ""],
    ["Mon, 01 Jan 2024 ", ""],
  ],
  [
    "Content-Range",
    (input) => contentRange({ "content-range": input }),
    ["bytes ", ""],
    ["bytes 1-", "/*"],
  ],
  ["Content-Length", (input) => contentLength({ "content-length": input })],
  [
    "ETag and dates",
    (input) => [
      strongValidator({ etag: input }),
      strongValidator({ "last-modified": input, date: input }),
    ],
    ['"', ""],
    ["Mon, ", ""],
  ],
  [
    "Accept-Ranges and Content-Encoding",
    (input) => [
      refusesRanges({ "accept-ranges": input }),
      contentEncodings({ "content-encoding": input }),
    ],
  ],
  ["Range", (input) => parseRange(input, 1n), ["bytes=", ""], ["bytes=1-", ""]],
  [
    "conditions of a download",
    (input) => [
      unmetCondition({ "if-match": input, "if-none-match": input }, '"a"'),
      isRangeMeant({ "if-range": input }, '"a"'),
    ],
    ['W/"', ""],
  ],
  [
    "paths of consoles and downloads",
    (input) => [vncSocketRef(input), downloadRef(input)],
    ["/n0core/api/v0/virtual_machines/", "/vncwebsocket"],
    ["/n0core/api/v0/block_storage/download/", ""],
  ],
  [
    "the address of a node",
    (input) => baseUrlOf(input, 1),
    ["", "x"],
    ["grpc://", "/"],
    ["[", "]"],
  ],
  [
    "Host",
    (input) => hostRule("0.0.0.0", () => ["a"])({ headers: { ...never, host: input } }),
    ["[", "]"],
    ["[", ""],
    ["a:", ""],
  ],
  ["--oidc-issuer", oidcIssuer, ["https://a#", ""], ["a=https://a/", ""]],
  ["--oidc-role-rules", oidcRoleRule, ["a/", "=member@system"], ["a=member@project/", ""]],
  ["user name at an issuer", claimName, ["a", "@"]],
  ["Authorization", tokenOf, ["bearer ", ""], ["bearer a", " "]],
  [
    "Idempotency-Key",
    (input) => {
      const requestHeader = new Headers({ "idempotency-key": input });
      return requestKeyOf(UserService.method.createUser, { requestHeader });
    },
  ],
  ["n0-project", wrongInProjectName],
  ["page_token", (input) => lastOf("user/default/", input)],
  [
    "libvirt's XML",
    parseXml,
    ["<", ""],
    ["<!--", ""],
    ["<![CDATA[", ""],
    ["<?", ""],
    ["<a ", ">"],
    ["<a>", "</a>"],
    ["<a b='", "'/>"],
    ["<a>&", ";</a>"],
    ["<a>&#", ";</a>"],
  ],
  [
    "a domain's XML",
    (input) => parseDomainXml(input, "n0-"),
    ["<domain><name>n0-", "</name></domain>"],
  ],
  ["what goes into XML", escapeXml],
  [
    "an error of libvirt",
    (input) =>
      toN0Error(
        "start",
        "a",
        { code: 1, domain: 10, message: input },
        {
          logLine: input,
        },
      ),
    ["domain ", ""],
    ["tap device ", ""],
    ["Failed to get ", ""],
    ["Could not open ", ""],
    ["Assertion ", ""],
    [QEMU, ""],
  ],
  [
    "the last words of QEMU",
    (input) => [lastWords(input), withoutWarnings(input), lastLineOfQemu(input)],
    [QEMU, ""],
    [`${QEMU}-a {`, ""],
    [`${QEMU}-`, ""],
    ["internal error: ", ""],
  ],
  [
    "what a program printed",
    (input) => [inOneLine(input), lastLine(input)],
    ["/", ""],
    ["/a", "/"],
  ],
  ["the mark of a link", (input) => parseLinkMark("n0-", input), ["n0-", ""]],
  [
    "the files of a seed",
    (input) =>
      seedFiles({
        instanceId: input,
        hostname: input,
        loginUsername: input,
        sshAuthorizedKeys: [input],
        nics: [],
      }),
  ],
  [
    "values of n0cli",
    (input) => [
      ...["a", "size_bytes"].map((name) =>
        tried((value) => scalarFromText({ name }, value), input),
      ),
      printable(input),
    ],
    ["0x", ""],
    ["-", ""],
  ],
  [
    "settings of n0cli",
    (input) => [
      tried(parseTimeout, input),
      tried((value) => parseEndpoint(value, false), input),
      tried((value) => parseSince(value, 0), input),
    ],
    ["http://", ""],
    ["1.", "h"],
    ["2024-01-01", ""],
  ],
  ["headers of n0cli", (input) => new LightHeaders({ a: input })],
  [
    "a task file of n0cli",
    (input) => readTrees("a.yaml", input, [], BUDGET_MS / 5),
    ["a: ", ""],
    ["- ", ""],
    ["[", ""],
    ['"', ""],
  ],
];

function tried<T>(parse: (input: string) => T, input: string): T | undefined {
  try {
    return parse(input);
  } catch {
    return undefined;
  }
}

/** Of this thread's own processor time, whatever else the machine does. */
function bestMs(parse: Parser, input: string): number {
  let best = Number.POSITIVE_INFINITY;
  for (let tries = 0; tries < TRIES && best > BUDGET_MS; tries += 1) {
    const before = process.threadCpuUsage();
    tried(parse, input);
    const { user, system } = process.threadCpuUsage(before);
    best = Math.min(best, (user + system) / 1000);
  }
  return best;
}

describe("the longest input of one character takes no time:", () => {
  test.for(PARSERS)("%s", { timeout: 60_000 }, ([, parse, ...frames]) => {
    const slow: string[] = [];
    for (const [before, after] of [bare, inText, ...frames]) {
      for (const filler of FILLERS) {
        const count = Math.floor((LONGEST - before.length - after.length) / filler.length);
        const input = before + filler.repeat(count) + after;
        const ms = bestMs(parse, input);
        if (ms > BUDGET_MS)
          slow.push(`${JSON.stringify([before, filler, after])}: ${ms.toFixed()} ms`);
      }
    }
    expect(slow).toEqual([]);
  });
});
