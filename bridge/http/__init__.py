"""The HTTP side: OpenAI's API over the worker's bytes, and what people and probes want to see."""
