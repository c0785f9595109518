"""Everything that touches the model: messages come in, tokens are computed, answers go out."""
