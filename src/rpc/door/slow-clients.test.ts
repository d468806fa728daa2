import { connect } from "node:net";
import { expect, test } from "vitest";
import {
  CHECK,
  envelope,
  GET_NODE,
  onceDone,
  rawHttp2,
  serveDoor,
  TOKEN,
  WATCH_NODES,
} from "../../../test/door-server.ts";

// Time enough for the request to arrive, also for a busy machine.
const receiveTimeoutMs = 500;
const JSON_TYPE = "application/json";
/** A client that takes no byte of any answer. */
const takingNothing = { settings: { initialWindowSize: 0 } };

test.each([
  ["a refusal", GET_NODE, JSON_TYPE],
  ["of what anybody may ask", CHECK, JSON_TYPE],
  ["of a health watch", "/grpc.health.v1.Health/Watch", "application/grpc"],
  ["to no call", "/nowhere", "text/plain"],
])("an answer that nobody takes is ended: %s", async (_, path, contentType) => {
  const { url } = await serveDoor({ token: TOKEN, receiveTimeoutMs });
  const { post, session } = rawHttp2(url, takingNothing);
  const stream = post(path, contentType);
  stream.end(contentType === JSON_TYPE ? "{}" : envelope(Buffer.alloc(0)));
  expect((await stream.answer).body).toHaveLength(0);
  expect(session.destroyed).toBe(false);
});

test("who may call may read as slowly as he likes", async () => {
  const { url, lines } = await serveDoor({ token: TOKEN, receiveTimeoutMs });
  const { post } = rawHttp2(url, takingNothing);
  const headers = { authorization: `Bearer ${TOKEN}` };
  const patient = post(WATCH_NODES, "application/grpc", headers);
  patient.end(envelope(Buffer.alloc(0)));
  await patient.begun;
  const hasty = post(CHECK, JSON_TYPE);
  hasty.end("{}");
  await hasty.answer;
  const ends = () =>
    lines.filter(({ method }) => method === "n0stack.pool.v0.NodeService/WatchNodes");
  expect(ends()).toEqual([]);
  patient.reset(8);
  await expect.poll(ends).toMatchObject([{ code: "canceled" }]);
});

test("over HTTP/1 a refused call is forgotten with its socket", async () => {
  const { port } = await serveDoor({ token: TOKEN, receiveTimeoutMs });
  const socket = connect(port, "127.0.0.1");
  onceDone(() => void socket.destroy());
  socket.on("error", () => {});
  socket.pause();
  // Thousands of answers that nobody reads fill all buffers there are.
  const call = `GET /nowhere HTTP/1.1\r\nhost: localhost\r\n\r\n`.repeat(5000);
  const fill = () => void socket.write(call, () => setImmediate(fill));
  fill();
  await new Promise((resolve) => socket.once("close", resolve));
});
