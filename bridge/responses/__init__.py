"""OpenAI's Responses API in terms of a chat, there and back: pure, and all that the bridge knows of it."""
