"""Documents: texts that a person and a model write together, with every version kept."""
