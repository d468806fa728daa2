const STEPS_MAX = 30;

/** A page with its address. */
export interface Page {
  readonly url: URL;
  readonly status: number;
  readonly text: string;
}

/** Follows redirects, keeps cookies, and fills in the first form of a page. */
export interface Browser {
  open(url: string): Promise<Page>;
  /** Sends the form of a page; `fields` replace those that the page sets. */
  submit(page: Page, fields?: Readonly<Record<string, string>>): Promise<Page>;
}

export function newBrowser(): Browser {
  const cookies = new Map<string, string>();

  async function load(url: URL, form?: URLSearchParams): Promise<Page> {
    let at = url;
    let body = form;
    for (let step = 0; step < STEPS_MAX; step += 1) {
      const response = await fetch(at, {
        redirect: "manual",
        headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join("; ") },
        ...(body === undefined ? {} : { method: "POST", body }),
      });
      for (const cookie of response.headers.getSetCookie()) keep(cookie);
      const location = response.headers.get("location");
      const text = await response.text();
      if (location === null) return { url: at, status: response.status, text };
      at = new URL(location, at);
      body = undefined;
    }
    throw new Error(`${url.href} redirects without end`);
  }

  function keep(cookie: string): void {
    const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
    if (value === "") cookies.delete(name);
    else cookies.set(name, value);
  }

  return {
    open: (url) => load(new URL(url)),
    submit(page, fields = {}) {
      const action = /<form[^>]* action="([^"]*)"/.exec(page.text)?.[1];
      if (action === undefined) throw new Error(`no form at ${page.url.href}: ${page.text}`);
      const form = new URLSearchParams();
      for (const [input] of page.text.matchAll(/<input[^>]*>/g)) {
        const name = /name="([^"]*)"/.exec(input)?.[1];
        if (name !== undefined) form.set(name, /value="([^"]*)"/.exec(input)?.[1] ?? "");
      }
      for (const [name, value] of Object.entries(fields)) form.set(name, value);
      return load(new URL(action, page.url), form);
    },
  };
}

/** Signs a person in at the real provider, and agrees to what the client asks for. */
export async function signIn(browser: Browser, url: string, login: string): Promise<Page> {
  const asked = await browser.open(url);
  return await agree(browser, asked, login);
}

/** From a page of the provider to the first page after its own. */
export async function agree(browser: Browser, page: Page, login: string): Promise<Page> {
  let at = page;
  while (at.text.includes("<form")) {
    const isLogin = at.text.includes('name="login"');
    at = await browser.submit(at, isLogin ? { login, password: "any" } : {});
  }
  return at;
}
