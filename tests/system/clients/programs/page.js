// A page whose checkout fails for every order, under @sentry/browser: `?dsn=DSN&orders=NUMBER`.
// Its title says at the end whether the client sent everything.
import * as Sentry from "@sentry/browser";

const options = new URLSearchParams(location.search);
const FIRST = 48000;

class CartLost extends Error {
  name = "CartLost";
}

Sentry.init({ dsn: options.get("dsn"), release: "shop@2.4.1", environment: "production" });
for (let order = FIRST; order < FIRST + Number(options.get("orders")); order++) {
  setTimeout(() => { throw new CartLost(`cart of order ${order}`); });
}
setTimeout(async () => {
  document.title = (await Sentry.flush(60000)) ? "sent" : "not sent";
}, 100);
