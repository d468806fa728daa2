import { expect, test } from "vitest";
import { BAD_SOURCE_URLS } from "../../test/bad-source-urls.ts";
import { filePath, parseSourceUrl, webUrlFault, withoutSecrets } from "./source-url.ts";

test.for(BAD_SOURCE_URLS)("%j is refused, and not repeated", ([url, reason]) => {
  const refusal = expect.objectContaining({
    kind: "invalid_argument",
    facts: { field: "source_url" },
    message: expect.stringMatching(reason),
  });
  expect(() => parseSourceUrl(url)).toThrow(refusal);
  expect(() => parseSourceUrl(url)).not.toThrow(/s3cret/);
});

test.for([
  ["http://127.0.0.1:8000/disk.qcow2", "http://127.0.0.1:8000/disk.qcow2"],
  ["https://images.example/disk?X-Sig=s3cret&a=b", "https://images.example/disk"],
  ["https://images.example", "https://images.example/"],
  ["http://[2001:db8::1]:8080/a%23b", "http://[2001:db8::1]:8080/a%23b"],
  ["file:///images/a%20b", "file:///images/a%20b"],
] as const)("%s is taken, and shown as %s", ([text, shown]) => {
  expect(withoutSecrets(parseSourceUrl(text))).toBe(shown);
});

test.for([
  ["file:///images/a", "/images/a"],
  ["file://localhost/images/a%20b%23c%3Fd", "/images/a b#c?d"],
  ["file:///images/../etc/passwd", "/etc/passwd"],
  ["file:/images/a", "/images/a"],
] as const)("%s names %s", ([url, path]) => {
  expect(filePath(parseSourceUrl(url))).toBe(path);
});

test("a redirect must not lead to a file or to a URL with a password", () => {
  expect(webUrlFault(new URL("file:///etc/passwd"))).toMatch(/begins with file:/);
  expect(webUrlFault(new URL("http://a:b@images.example/"))).toMatch(/password/);
  expect(webUrlFault(new URL("http://images.example/#part"))).toBeUndefined();
});
