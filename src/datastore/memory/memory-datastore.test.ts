import { describe } from "vitest";
import { datastoreSuite } from "../datastore.suite.ts";
import { memoryDatastore } from "./memory-datastore.ts";

describe("the memory datastore", () => {
  datastoreSuite(async () => {
    const datastore = memoryDatastore();
    return { datastore, [Symbol.asyncDispose]: () => datastore[Symbol.asyncDispose]() };
  });
});
