"""Open connections and what reaches them: private producers, shared messages, control messages."""
