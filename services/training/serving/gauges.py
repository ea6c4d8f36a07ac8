"""What serving tells Prometheus: calls, tokens, and how often its engine was started."""

from shared.kit.metrics import Counter, Gauge

IN_FLIGHT = Gauge("serving_calls_in_flight", "Calls that wait or are being answered")
TOKENS = Counter("serving_tokens_total", "Tokens of answered calls", ["kind"])
STARTS = Counter("serving_engine_starts_total", "Starts of the serving engine", ["why"])
