"""Prometheus metrics under vLLM's names."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_LABELS = ("engine", "model_name")


class Metrics:
    """The metrics of one server, in a registry of their own."""

    def __init__(self, model: str) -> None:
        self._registry = CollectorRegistry()
        self._model = model

        def gauge(name: str, text: str) -> Gauge:
            made = Gauge(f"vllm:{name}", text, _LABELS, registry=self._registry)
            return made.labels("0", model)

        def counter(name: str, text: str) -> Counter:
            made = Counter(f"vllm:{name}", text, _LABELS, registry=self._registry)
            return made.labels("0", model)

        def histogram(name: str, text: str) -> Histogram:
            made = Histogram(
                f"vllm:{name}", text, _LABELS, buckets=_BUCKETS, registry=self._registry
            )
            return made.labels("0", model)

        self.running = gauge("num_requests_running", "Requests in execution.")
        self.waiting = gauge("num_requests_waiting", "Requests waiting to be processed.")
        self.kv_cache = gauge("kv_cache_usage_perc", "Share of the KV cache in use, 0 to 1.")
        self.preemptions = counter("num_preemptions", "Preemptions by the engine.")
        self.prefix_queries = counter("prefix_cache_queries", "Prefix cache queries, in tokens.")
        self.prefix_hits = counter("prefix_cache_hits", "Prefix cache hits, in tokens.")
        self.prompt_tokens = counter("prompt_tokens", "Prefill tokens processed.")
        self.generation_tokens = counter("generation_tokens", "Generation tokens processed.")
        self.latency = histogram("e2e_request_latency_seconds", "End to end request latency.")
        self.queue_time = histogram("request_queue_time_seconds", "Time spent waiting.")
        self._finished = Counter(
            "vllm:request_success",
            "Finished completions by reason.",
            (*_LABELS, "finished_reason"),
            registry=self._registry,
        )

    def finished(self, reason: str) -> None:
        """Count a completion that ended for ``reason``."""
        self._finished.labels("0", self._model, reason).inc()

    def text(self) -> bytes:
        """Return the exposition."""
        return generate_latest(self._registry)
