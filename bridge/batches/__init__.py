"""OpenAI's batches: what their files may hold, how they go on, and who sees to it."""
