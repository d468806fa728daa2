import type { ServerTls } from "../../rpc/server-tls.ts";
import { systemClock } from "../../util/clock.ts";
import type { Log } from "../../util/log.ts";
import { systemRandom } from "../../util/random.ts";
import { requestWeb } from "../../util/web-request.ts";
import type { Settings } from "../settings.ts";
import type { AcmeSettings } from "./acme-settings.ts";
import { acmeStore, type StoredCertificate } from "./acme-store.ts";
import { keepAcme, storedCertificate } from "./keep-acme.ts";
import { httpPresenter, tlsPresenter } from "./presenters.ts";

/** The certificate for the domains of the API. */
export interface AcmePart {
  /** What the listener serves now. */
  tls(): Pick<ServerTls, "forDomains" | "challengeFor">;
  /** Gets and renews the certificate until it is disposed. The listener must serve already. */
  keep(onChanged: () => void): AsyncDisposable;
}

type ApiSettings = Settings<"api"> | Settings<"standalone">;

/**
 * Reads the certificate that an earlier process got. Without one the API starts all the same: it must undo open
 * transactions and answer its nodes, whatever an ACME server does.
 */
export function openAcme(
  { baseDirectory, bindAddress }: ApiSettings,
  acme: AcmeSettings,
  log: Log,
): AcmePart {
  const store = acmeStore(baseDirectory);
  const clock = systemClock;
  const inTls = acme.challenge === "tls-alpn-01" ? tlsPresenter() : undefined;
  const presenter = inTls ?? httpPresenter(bindAddress, acme.httpPort);
  let present: StoredCertificate | undefined;
  try {
    present = storedCertificate(acme, store, clock);
  } catch (error) {
    log.warn("cannot use the stored certificate", { error });
  }
  if (present === undefined) {
    log.warn(
      "there is no certificate for the domains yet: clients see that of the API's own authority",
      {
        domains: acme.domains,
        directory: acme.directoryUrl,
      },
    );
  }
  return {
    tls: () => ({
      ...(present === undefined ? {} : { forDomains: { domains: present.domains, own: present } }),
      ...(inTls === undefined ? {} : { challengeFor: inTls.challengeFor }),
    }),
    keep(onChanged) {
      const ending = new AbortController();
      const keeping = keepAcme({
        ...{ acme, store, presenter, present, clock, log },
        request: requestWeb,
        random: systemRandom,
        onCertificate: (certificate) => {
          present = certificate;
          onChanged();
        },
        signal: ending.signal,
      });
      return {
        async [Symbol.asyncDispose]() {
          ending.abort();
          await keeping;
        },
      };
    },
  };
}
