// azure-realtime-webrtc (npm) behind Express. Its limit of 10 mints a minute and caller is lifted.
const { createRequire } = require("node:module");
const here = createRequire(`${process.cwd()}/`);
const express = here("express");
const { createRealtimeMiddleware } = here("azure-realtime-webrtc/server");

const [port, upstream] = process.argv.slice(2);
const app = express();
app.use(
  createRealtimeMiddleware({
    resource: "bench",
    baseUrl: upstream,
    deployment: "gpt-realtime",
    auth: { type: "api-key", apiKey: "bench-key" },
    session: { instructions: "You are a calm colleague. ".repeat(10), audio: { output: { voice: "marin" } } },
    rateLimit: 1e9,
    express,
  }),
);
app.listen(Number(port), "127.0.0.1");
