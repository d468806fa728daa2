import { expect, test } from "vitest";
import { webProxiesFrom } from "./web-proxies.ts";

test("an environment without them names no proxy", () => {
  expect(webProxiesFrom({ PATH: "/bin", HTTP_PROXY: "" }, "24.4.1")).toEqual({ exceptions: [] });
});

test("the variables are read, those in lower case first", () => {
  const environment = {
    HTTP_PROXY: "http://upper.example:1",
    http_proxy: "http://ann:secret@lower.example:3128/",
    HTTPS_PROXY: "proxy.example:3129",
    NO_PROXY: "localhost, 10.0.0.0/8,,.internal",
  };
  const { http, https, exceptions } = webProxiesFrom(environment);
  expect(http?.href).toBe("http://ann:secret@lower.example:3128/");
  expect(https?.href).toBe("http://proxy.example:3129/");
  expect(exceptions).toEqual(["localhost", "10.0.0.0/8", ".internal"]);
});

test.for(["socks5://ann:secret@proxy.example", "http://", "http://a/secret", "ann:secret@"])(
  "%s is no proxy, and is not repeated",
  (HTTPS_PROXY) => {
    const read = () => webProxiesFrom({ HTTPS_PROXY });
    expect(read).toThrow(expect.objectContaining({ kind: "invalid_argument" }));
    expect(read).toThrow(/^HTTPS_PROXY \(from the environment\): must be/);
    expect(read).not.toThrow(/secret/);
  },
);

test.for([
  ["24.4.1", false],
  ["24.5.0", true],
  ["26.0.0", true],
] as const)("with Node %s a proxy can be used: %s", ([version, isGood]) => {
  const read = () => webProxiesFrom({ http_proxy: "http://proxy.example:3128" }, version);
  if (isGood) expect(read().http?.host).toBe("proxy.example:3128");
  else expect(read).toThrow(/Node .* cannot use a proxy/);
});
