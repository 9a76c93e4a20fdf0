"""Who may do what: a pure policy, and the gate that asks a person."""
