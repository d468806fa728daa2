import { expect, test } from "vitest";
import { isTokenExposed, parseEndpoint, parseTimeout, resolveConnection } from "./settings.ts";

test.each([
  ["localhost:20180", false, "http://localhost:20180"],
  ["localhost", false, "http://localhost:20180"],
  ["grpc://10.0.0.1:5", false, "http://10.0.0.1:5"],
  ["[::1]:20180", false, "http://[::1]:20180"],
  ["[::1]", false, "http://[::1]:20180"],
  ["http://api:8080/", false, "http://api:8080"],
  ["http://api", false, "http://api"],
  ["https://api", false, "https://api"],
  ["api:1", true, "https://api:1"],
  ["grpc://api", true, "https://api:20180"],
  ["http://api:1", true, "http://api:1"],
])("the endpoint %s (authority given: %s) is %s", (text, isTls, url) => {
  expect(parseEndpoint(text, isTls)).toBe(url);
});

test.each([
  "",
  "ftp://x",
  "http://",
  "a b",
  "host:99999",
  "http://x/path",
  "user@host:1",
  ":20180",
])("%j is no endpoint", (text) => {
  expect(() => parseEndpoint(text, false)).toThrow(/is not an API endpoint: write host:port/);
});

test("a flag wins over the environment, the environment over the context", () => {
  const named = { api_endpoint: "named:1", token_file: "/named" };
  const env = { N0CLI_API_URL: "grpc://url:2", N0CLI_API_ENDPOINT: "env:3", N0CLI_TOKEN_FILE: "" };
  expect(resolveConnection({}, {}, {})).toEqual({ baseUrl: "http://localhost:20180" });
  expect(resolveConnection({}, {}, named)).toEqual({
    baseUrl: "http://named:1",
    tokenFile: "/named",
  });
  expect(resolveConnection({}, env, named).baseUrl).toBe("http://env:3");
  expect(resolveConnection({ apiUrl: "flag:4" }, env, named).baseUrl).toBe("http://flag:4");
});

test("the project is that of the flag, else of the environment, else of the context", () => {
  const named = { project: "named" };
  const env = { N0CLI_PROJECT: "env" };
  expect(resolveConnection({}, { N0CLI_PROJECT: "" }, {}).project).toBeUndefined();
  expect(resolveConnection({}, {}, named).project).toBe("named");
  expect(resolveConnection({}, env, named).project).toBe("env");
  expect(resolveConnection({ project: "flag" }, env, named).project).toBe("flag");
  expect(() => resolveConnection({ project: "a.b" }, {}, {})).toThrow(
    '"a.b" is not the name of a project: write a letter or digit',
  );
});

test.each([
  ["500ms", 500],
  ["30s", 30_000],
  ["1.5m", 90_000],
  ["2h", 7_200_000],
  ["1d", 86_400_000],
  ["10", 10_000],
])("%s is %d ms", (text, ms) => {
  expect(parseTimeout(text)).toBe(ms);
});

test.each(["", "0s", "-1s", "1w", "soon", "9999h"])("%j is no duration", (text) => {
  expect(() => parseTimeout(text)).toThrow(/write 500ms, 30s, 5m or 1h/);
});

test.each([
  ["http://api:1", true],
  ["http://127.evil.example:1", true],
  ["https://api:1", false],
  ["http://localhost:1", false],
  ["http://127.0.0.1:1", false],
  ["http://[::1]:1", false],
])("a token that is sent to %s is exposed: %s", (baseUrl, isExposed) => {
  expect(isTokenExposed({ baseUrl, tokenFile: "/t" })).toBe(isExposed);
  expect(isTokenExposed({ baseUrl })).toBe(false);
});
