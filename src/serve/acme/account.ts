import { N0Error } from "../../util/errors.ts";
import { AcmeError } from "./acme-error.ts";
import type { AcmeStore, StoredAccount } from "./acme-store.ts";
import type { AcmeClient, Signer } from "./client.ts";

interface AccountOptions {
  readonly client: AcmeClient;
  readonly store: AcmeStore;
  readonly directoryUrl: string;
  readonly email: string | undefined;
}

/**
 * The account at the ACME server. Its key is on the disk before the server hears of it, and a server answers a
 * second registration of the same key with the same account. So there is one account, wherever this dies.
 */
export async function ensureAccount(options: AccountOptions): Promise<Signer> {
  const { store, directoryUrl, email } = options;
  const left = store.account.read();
  const known = left?.directory === directoryUrl ? left : undefined;
  if (known?.url !== undefined) {
    try {
      return await withEmail(options, known, { key: known.key, url: known.url });
    } catch (error) {
      // The server has lost its data, as a test server does at each start.
      if (!(error instanceof AcmeError && error.type === "accountDoesNotExist")) throw error;
    }
  }
  return await register(options, known?.key ?? (await newKey()), email);
}

async function register(
  { client, store, directoryUrl }: AccountOptions,
  key: string,
  email?: string,
) {
  const { newAccount, meta } = await client.directory();
  if (meta?.externalAccountRequired === true) {
    throw new N0Error(
      "failed_precondition",
      `${directoryUrl} wants an account that was made elsewhere (external account binding), which n0core cannot ` +
        "use: choose another ACME server",
    );
  }
  store.account.write({ directory: directoryUrl, key });
  const { location: url } = await client.post(
    "new account",
    newAccount,
    { key },
    { termsOfServiceAgreed: true, contact: contactOf(email) },
  );
  if (url === undefined) {
    throw new N0Error("unavailable", "the ACME server does not say the URL of the new account");
  }
  store.account.write({ directory: directoryUrl, key, url, ...(email && { email }) });
  return { key, url };
}

/** Tells the server a new address of --acme-email, and whether the account still exists. */
async function withEmail(
  { client, store, email }: AccountOptions,
  { email: before, ...known }: StoredAccount,
  signer: Required<Signer>,
): Promise<Signer> {
  const isSame = email === before;
  const change = isSame ? undefined : { contact: contactOf(email) };
  await client.post("account", signer.url, signer, change);
  if (!isSame) store.account.write({ ...known, ...(email && { email }) });
  return signer;
}

function contactOf(email: string | undefined): string[] {
  return email === undefined ? [] : [`mailto:${email}`];
}

async function newKey(): Promise<string> {
  const { newPrivateKey } = await import("../../rpc/certificate/request.ts");
  return newPrivateKey();
}
