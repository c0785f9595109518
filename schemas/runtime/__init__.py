"""What every process of the house needs before its own work: settings, logs and a connection, written once."""
