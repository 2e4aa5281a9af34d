"""Azure OpenAI Realtime as a local server: real WebRTC, real speech in both directions, no account."""
