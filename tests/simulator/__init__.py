"""Azure OpenAI Realtime as a local server: real WebRTC, real speech both ways, no account.

``python -m tests.simulator`` serves it. A broker is pointed at it as at any custom endpoint; the deployment's
name chooses the scenario (`tests.simulator.scenarios`). A page without a broker uses ``ek_sim_<scenario>``.

azure (HTTP) → call (one peer connection) → conversation (what happens next, pure) → items, response, events
                     ├ hearing (where speech begins and ends)       └ replies (what it says)
                     ├ speech (a worker: words to sound and back)
                     └ voice (the outgoing track)
"""
