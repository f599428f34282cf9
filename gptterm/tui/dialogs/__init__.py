"""Modal dialogs over the chat screen."""
