"""OpenAI's `/v1/responses`, as far as it is honoured here: a shape of its own around what a chat request does."""
