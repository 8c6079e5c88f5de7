"""The domain of judging: what comes in, what the model says, what the rules make of it, what is kept and told."""
