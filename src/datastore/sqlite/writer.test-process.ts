import process from "node:process";
import { sqliteDatastore } from "./sqlite-datastore.ts";

/**
 * Writes pairs of records for ever, with 64 batches in flight, and prints the number of each acknowledged
 * one.
 */
const path = process.argv[2];
if (path === undefined) throw new Error("which file?");
const datastore = sqliteDatastore({ path });
let next = 0;

async function write(): Promise<void> {
  for (;;) {
    const number = next++;
    const value = Buffer.alloc(500, `${number} `);
    const key = number.toString().padStart(8, "0");
    await datastore.batch({
      puts: [
        { key: `left/${key}`, value },
        { key: `right/${key}`, value },
      ],
    });
    process.stdout.write(`${number}\n`);
  }
}

await Promise.all(Array.from({ length: 64 }, write));
