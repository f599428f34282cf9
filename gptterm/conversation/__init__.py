"""Conversations: the tree of turns, exports and slash commands. Independent of any front end."""
