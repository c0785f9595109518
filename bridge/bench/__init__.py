"""What `nats-mlx bench` measures: each workload beside what it is compared with, in one call, in turn."""
