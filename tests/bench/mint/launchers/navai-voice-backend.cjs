// @navai/voice-backend (npm) behind Express. It knows one address, OpenAI's; only that is replaced here.
const { createRequire } = require("node:module");
const here = createRequire(`${process.cwd()}/`);
const express = here("express");
const { registerNavaiExpressRoutes } = here("@navai/voice-backend");

const [port, upstream] = process.argv.slice(2);
const fetchAnywhere = globalThis.fetch;
globalThis.fetch = (url, init) => fetchAnywhere(String(url).replace("https://api.openai.com", upstream), init);
const app = express();
app.use(express.json());
registerNavaiExpressRoutes(app, { backendOptions: { openaiApiKey: "bench-key" } });
app.listen(Number(port), "127.0.0.1");
