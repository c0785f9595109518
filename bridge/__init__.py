"""Between people or HTTP and NATS: the OpenAI endpoint, the publisher and the command `nats-mlx`."""
