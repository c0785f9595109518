"""`nats-mlx up`: everything on one machine, as child processes that are watched, restarted and stopped."""
