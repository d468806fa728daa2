import RFB from "./core/rfb.js";

// The page's address is /…/vnc.html?path=<path of the WebSocket>#token=<one-time token>.
const path = new URLSearchParams(location.search).get("path") ?? "";
const token = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
const match = /^n0core\/api\/v0\/virtual_machines\/([a-zA-Z0-9._~-]+)\/vncwebsocket$/.exec(path);

const status = document.getElementById("status");
const sendKeys = document.getElementById("send-keys");

// The token is good for one connection: a reload would only be refused.
history.replaceState(null, "", location.pathname + location.search);

if (match === null || token === "") {
  status.textContent = "This link has been used already. Open a new console.";
} else {
  document.getElementById("name").textContent = match[1];
  document.title = `${match[1]} — n0stack console`;
  connect();
}

function connect() {
  const url = new URL(`/${path}`, location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  url.searchParams.set("token", token);
  const rfb = new RFB(document.getElementById("screen"), url.href, { wsProtocols: ["binary"] });
  rfb.scaleViewport = true;
  rfb.addEventListener("connect", () => {
    status.textContent = "Connected";
    sendKeys.disabled = false;
    rfb.focus();
  });
  rfb.addEventListener("disconnect", (event) => {
    status.textContent = event.detail.clean
      ? "Disconnected"
      : "The connection could not be made or was lost. Open a new console.";
    sendKeys.disabled = true;
  });
  sendKeys.addEventListener("click", () => rfb.sendCtrlAltDel());
}
