"""The half of `nats-mlx bench` that needs the model in its own process."""
