import koffi from "koffi";

/** A type for koffi: its C name, or an object of koffi. */
type TypeSpec = Parameters<typeof koffi.out>[0];

/** A native pointer. koffi 3 represents it as a BigInt, which can be sent to another thread. */
export type Pointer = bigint;

/** The fields of virError that we use (libvirt/virterror.h). */
export interface VirError {
  readonly code: number;
  /** virErrorDomain: the part of libvirt that raised the error. */
  readonly domain: number;
  readonly message: string;
}

/** The arguments of virConnectDomainEventCallback: `(connection, domain, event, detail, opaque)`. */
export type LifecycleCallback = (
  connection: Pointer,
  domain: Pointer,
  event: number,
  detail: number,
  opaque: Pointer | null,
) => void;

/** A daemon that does not answer for 20 s counts as lost. */
const KEEP_ALIVE_INTERVAL_S = 5;
const KEEP_ALIVE_COUNT = 4;

type Native<Arguments extends unknown[], Result> = (...args: Arguments) => Result;
type Int = Native<[Pointer], number>;
type IntWithFlags = Native<[Pointer, number], number>;

export type Libvirt = ReturnType<typeof loadLibvirt>;

/**
 * The C functions of libvirt, called synchronously. They block the thread, so only workers load this. libvirt
 * keeps an error for each thread, so `lastError` must follow on the same thread.
 */
export function loadLibvirt() {
  const library = koffi.load("libvirt.so.0");
  const libc = koffi.load("libc.so.6");
  const free: Native<[Pointer | null], void> = libc.func("free", "void", ["void *"]);
  // Types without a name, because all threads of the process share names.
  const ownedString = koffi.disposable("str", libc.func("free", "void", ["void *"]));
  const errorType = koffi.struct({ code: "int", domain: "int", message: "str" });
  const lifecycleType = koffi.proto("void", ["void *", "void *", "int", "int", "void *"]);
  const outPointer = koffi.out(koffi.pointer("void *"));
  const outInt = koffi.out(koffi.pointer("int"));

  const get = <A extends unknown[], R>(
    name: string,
    result: TypeSpec,
    args: TypeSpec[],
  ): Native<A, R> => library.func(name, result, args);
  const call = (name: string): Int => get(name, "int", ["void *"]);
  const callWithFlags = (name: string): IntWithFlags => get(name, "int", ["void *", "uint"]);

  const open: Native<[string], Pointer | null> = get("virConnectOpen", "void *", ["str"]);
  const setKeepAlive: Native<[Pointer, number, number], number> = get(
    "virConnectSetKeepAlive",
    "int",
    ["void *", "int", "uint"],
  );
  const lastError: Native<[], Pointer | null> = get("virGetLastError", "void *", []);
  const setErrorFunc: Native<[null, Pointer], void> = get("virSetErrorFunc", "void", [
    "void *",
    "void *",
  ]);
  const addTimeout: Native<[number, Pointer, null, null], number> = get(
    "virEventAddTimeout",
    "int",
    ["int", "void *", "void *", "void *"],
  );
  const registerAny: Native<[Pointer, null, number, Pointer, null, null], number> = get(
    "virConnectDomainEventRegisterAny",
    "int",
    ["void *", "void *", "int", "void *", "void *", "void *"],
  );
  const listAll: Native<[Pointer, (Pointer | null)[], number], number> = get(
    "virConnectListAllDomains",
    "int",
    ["void *", outPointer, "uint"],
  );
  const getState: Native<[Pointer, number[], number[], number], number> = get(
    "virDomainGetState",
    "int",
    ["void *", outInt, outInt, "uint"],
  );
  // A native function that does nothing, as a callback for libvirt. A callback in JavaScript would be called on
  // a thread that stays in native code for ever.
  const nothing: Pointer = libc.symbol("abs");

  return {
    eventRegisterDefaultImpl: get<[], number>("virEventRegisterDefaultImpl", "int", []),
    eventRunDefaultImpl: get<[], number>("virEventRunDefaultImpl", "int", []),
    /** Wakes the event loop each `intervalMs`. */
    addWakeUp: (intervalMs: number) => addTimeout(intervalMs, nothing, null, null),
    /** Keeps libvirt from printing its errors to the standard error. */
    silenceErrors: () => setErrorFunc(null, nothing),
    lastError(): VirError | undefined {
      const pointer = lastError();
      return pointer === null ? undefined : (koffi.decode(pointer, errorType) as VirError);
    },

    /** Opens a connection that notices a hanging daemon, while the event loop runs. */
    connectOpen(uri: string): Pointer | null {
      const pointer = open(uri);
      // The test driver of libvirt has no keep-alive and does not need one.
      if (pointer !== null) setKeepAlive(pointer, KEEP_ALIVE_INTERVAL_S, KEEP_ALIVE_COUNT);
      return pointer;
    },
    connectClose: call("virConnectClose"),
    connectIsAlive: call("virConnectIsAlive"),
    connectGetCapabilities: get<[Pointer], string | null>(
      "virConnectGetCapabilities",
      ownedString,
      ["void *"],
    ),
    /** Returns a callback id, or -1. */
    registerLifecycle: (connection: Pointer, callback: LifecycleCallback) =>
      registerAny(
        connection,
        null,
        0,
        koffi.register(callback, koffi.pointer(lifecycleType)),
        null,
        null,
      ),
    deregisterEvent: get<[Pointer, number], number>("virConnectDomainEventDeregisterAny", "int", [
      "void *",
      "int",
    ]),

    /** Pointers that the caller must free; undefined for an error. */
    listAllDomains(connection: Pointer): Pointer[] | undefined {
      const out: (Pointer | null)[] = [null];
      const count = listAll(connection, out, 0);
      const [array] = out;
      if (count < 0 || array === null || array === undefined) return undefined;
      // koffi has no arrays of length 0. The array of libvirt has one more element, which is null.
      const domains =
        count === 0 ? [] : (koffi.decode(array, koffi.array("void *", count)) as Pointer[]);
      free(array);
      return [...domains];
    },
    domainFree: call("virDomainFree"),
    domainLookupByName: get<[Pointer, string], Pointer | null>("virDomainLookupByName", "void *", [
      "void *",
      "str",
    ]),
    domainDefineXml: get<[Pointer, string, number], Pointer | null>(
      "virDomainDefineXMLFlags",
      "void *",
      ["void *", "str", "uint"],
    ),
    domainGetName: get<[Pointer], string>("virDomainGetName", "str", ["void *"]),
    domainGetXmlDesc: get<[Pointer, number], string | null>("virDomainGetXMLDesc", ownedString, [
      "void *",
      "uint",
    ]),
    domainGetUuidString: get<[Pointer, Uint8Array], number>("virDomainGetUUIDString", "int", [
      "void *",
      "void *",
    ]),
    domainGetMetadata: get<[Pointer, number, string, number], string | null>(
      "virDomainGetMetadata",
      ownedString,
      ["void *", "int", "str", "uint"],
    ),
    domainGetState(domain: Pointer): { state: number; reason: number } | undefined {
      const state = [0];
      const reason = [0];
      if (getState(domain, state, reason, 0) < 0) return undefined;
      return { state: state[0] ?? 0, reason: reason[0] ?? 0 };
    },
    domainCreate: callWithFlags("virDomainCreateWithFlags"),
    domainResume: call("virDomainResume"),
    domainSuspend: call("virDomainSuspend"),
    domainShutdown: callWithFlags("virDomainShutdownFlags"),
    domainReboot: callWithFlags("virDomainReboot"),
    domainReset: callWithFlags("virDomainReset"),
    domainDestroy: callWithFlags("virDomainDestroyFlags"),
    domainUndefine: callWithFlags("virDomainUndefineFlags"),
    domainAttachDevice: get<[Pointer, string, number], number>(
      "virDomainAttachDeviceFlags",
      "int",
      ["void *", "str", "uint"],
    ),
    domainDetachDevice: get<[Pointer, string, number], number>(
      "virDomainDetachDeviceFlags",
      "int",
      ["void *", "str", "uint"],
    ),
    /** Asks the guest, and does not wait for it. */
    domainDetachDeviceAlias: get<[Pointer, string, number], number>(
      "virDomainDetachDeviceAlias",
      "int",
      ["void *", "str", "uint"],
    ),
    domainBlockResize: get<[Pointer, string, bigint, number], number>(
      "virDomainBlockResize",
      "int",
      ["void *", "str", "uint64_t", "uint"],
    ),
    /** Fills `info` with virDomainBlockInfo: capacity, allocation, physical, in bytes. */
    domainGetBlockInfo: get<[Pointer, string, BigUint64Array, number], number>(
      "virDomainGetBlockInfo",
      "int",
      ["void *", "str", "void *", "uint"],
    ),
  };
}
