"""The event log: durable, gapless, numbered; the same over REST, SSE and WebSocket."""
