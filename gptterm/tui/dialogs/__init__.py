"""Modal dialogs over the chat screen: input, choice, search, help."""
