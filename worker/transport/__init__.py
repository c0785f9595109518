"""Everything that speaks NATS: the micro service, the pull consumers, results, dead letters, presence."""
