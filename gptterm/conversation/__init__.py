"""Conversations: turns as a tree, exports, and the commands at the prompt. No front end in it."""
