"""Text generation: prompts in, events out, one sequence or many."""
