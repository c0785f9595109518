"""nats-mlx at login, started and kept by the system's own manager: launchd on macOS, systemd on Linux."""
