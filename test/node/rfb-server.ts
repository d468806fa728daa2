const WIDTH = 64;
const HEIGHT = 48;
/** The places of red, green and blue in a pixel, until the client asks for another order. */
const SHIFTS = [16, 8, 0] as const;

/**
 * A minimal RFB 3.8 server (RFC 6143): no authentication, one screen of one colour, sent on request. Calls
 * `onKey` with the keysym of each pressed key.
 */
export async function* rfbServer(
  requests: AsyncIterable<{ readonly data: Uint8Array }>,
  color: readonly [red: number, green: number, blue: number],
  onKey: (keysym: number) => void,
) {
  const reader = readerOf(requests);
  yield { data: new Uint8Array(0) };
  yield { data: Buffer.from("RFB 003.008\n") };
  await reader.take(12);
  yield { data: Uint8Array.of(1, 1) };
  await reader.take(1);
  yield { data: Uint8Array.of(0, 0, 0, 0) };
  await reader.take(1);
  yield { data: serverInit() };
  let shifts: readonly number[] = SHIFTS;
  for (;;) {
    const type = (await reader.take(1))[0];
    if (type === 0) shifts = [...(await reader.take(19)).subarray(13, 16)];
    else if (type === 2) await reader.take((await reader.take(3)).readUInt16BE(1) * 4);
    else if (type === 3) {
      const incremental = (await reader.take(9))[0];
      if (incremental === 0) yield { data: update(pixelOf(color, shifts)) };
    } else if (type === 4) {
      const event = await reader.take(7);
      if (event[0] === 1) onKey(event.readUInt32BE(3));
    } else if (type === 5) await reader.take(5);
    else if (type === 6) await reader.take((await reader.take(7)).readUInt32BE(3));
    else throw new Error(`message type ${type} is not known`);
  }
}

function pixelOf(color: readonly number[], shifts: readonly number[]): Uint8Array {
  const pixel = Buffer.alloc(4);
  pixel.writeUInt32LE(color.reduce((sum, part, i) => sum + part * 2 ** (shifts[i] ?? 0), 0));
  return pixel;
}

/** 32 bits a pixel, 24 of them colour, little-endian. */
function serverInit(): Uint8Array {
  const name = Buffer.from("test");
  const head = Buffer.alloc(24);
  head.writeUInt16BE(WIDTH, 0);
  head.writeUInt16BE(HEIGHT, 2);
  head.set([32, 24, 0, 1, 0, 255, 0, 255, 0, 255, ...SHIFTS], 4);
  head.writeUInt32BE(name.length, 20);
  return Buffer.concat([head, name]);
}

function update(pixel: Uint8Array): Uint8Array {
  const head = Buffer.alloc(16);
  head.writeUInt16BE(1, 2);
  head.writeUInt16BE(WIDTH, 8);
  head.writeUInt16BE(HEIGHT, 10);
  return Buffer.concat([head, ...Array<Uint8Array>(WIDTH * HEIGHT).fill(pixel)]);
}

function readerOf(requests: AsyncIterable<{ readonly data: Uint8Array }>) {
  const iterator = requests[Symbol.asyncIterator]();
  let held = Buffer.alloc(0);
  return {
    take: async (length: number): Promise<Buffer> => {
      while (held.length < length) {
        const step = await iterator.next();
        if (step.done === true) throw new Error("the client is gone");
        held = Buffer.concat([held, step.value.data]);
      }
      const taken = held.subarray(0, length);
      held = held.subarray(length);
      return taken;
    },
  };
}
