// A Node program that fails under @sentry/node and OpenTelemetry, and signs up through Segment:
// `shop.mjs DSN OTLP_LOGS_URL HOST KEY NUMBER`. Each client reports NUMBER failures or signups.
import { SeverityNumber } from "@opentelemetry/api-logs";
import { OTLPLogExporter } from "@opentelemetry/exporter-logs-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import { Analytics } from "@segment/analytics-node";
import * as Sentry from "@sentry/node";

const [dsn, logsUrl, host, key, number] = process.argv.slice(2);
const FIRST = 48000;

class PaymentDeclined extends Error {
  constructor(order) {
    super(`order ${order}`);
    this.name = "PaymentDeclined";
  }
}

Sentry.init({ dsn, release: "shop@2.4.1", environment: "production", tracesSampleRate: 0 });
for (let order = FIRST; order < FIRST + Number(number); order++) {
  Sentry.withIsolationScope((scope) => {
    scope.setTransactionName(`POST /checkout/${order}`);
    Sentry.captureException(new PaymentDeclined(order));
  });
}
if (!(await Sentry.flush(60000))) throw new Error("Sentry did not send everything");

const processor = new BatchLogRecordProcessor({
  exporter: new OTLPLogExporter({ url: logsUrl, headers: { authorization: `Bearer ${key}` } }),
});
const resource = resourceFromAttributes({
  "service.name": "shop", "service.version": "shop@2.4.1", "deployment.environment.name": "production",
});
const provider = new LoggerProvider({ resource, processors: [processor] });
for (let order = FIRST; order < FIRST + Number(number); order++) {
  provider.getLogger("shop.pay").emit({
    severityNumber: SeverityNumber.ERROR,
    body: "payment failed",
    attributes: {
      "exception.type": "PaymentDeclined", "exception.message": `order ${order}`, "http.route": "/checkout/:order",
    },
  });
}
await provider.forceFlush();
await provider.shutdown();

const analytics = new Analytics({ writeKey: key, host, path: "/v1/events/segment/v1/batch" });
analytics.on("error", (error) => { throw error; });
for (let person = 0; person < Number(number); person++) {
  analytics.track({ userId: `node-${person}`, event: "Signed Up", properties: { plan: "pro" } });
}
await analytics.closeAndFlush({ timeout: 60000 });
