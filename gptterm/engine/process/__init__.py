"""An engine in a process of its own: the child, its client, and what they say to each other."""
